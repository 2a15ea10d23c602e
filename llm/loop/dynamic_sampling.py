"""Dynamic sampling: groups without signal are replaced by new prompts' until the batch is full."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config.filter_checks import OFF, SCORE
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.rows import joined
from covlaw.llm.loop.randomness import numpy_stream, torch_stream
from covlaw.llm.loop.signals import Signals
from covlaw.llm.rewards import RewardState
from covlaw.llm.sampling.rollout import SampledRollouts, Sampler, choose
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.scalarizers import Batch


class Filled(NamedTuple):
    """A batch after dynamic sampling."""

    rows: SampledRollouts
    """(N, M), as many prompts as before."""
    problems: list[Problem]
    """One a prompt."""
    record: dict[str, Any]
    """For the step's record; empty where it is off."""


class DynamicSampling:
    """Fills batches up with groups that have a signal (Yu et al. 2025, DAPO, arXiv:2503.14476).

    Rows that only observe or guard are not its concern: they stay those of the first prompts.

    Args:
        sampler: Draws from the policy.
        signals: Whose score is watched under `dynamic_sampling = "score"`, its penalties included.
        problems: Training prompts.
        config: Of the run; after `dynamic_rounds` further draws what is still dead stays, with an
            advantage of 0.
    """

    def __init__(
        self,
        sampler: Sampler,
        signals: Signals,
        problems: Sequence[Problem],
        config: TrainConfig,
    ) -> None:
        self.sampler, self.signals = sampler, signals
        self.problems, self.config = problems, config

    def fill(
        self,
        step: int,
        rows: SampledRollouts,
        problems: list[Problem],
        states: tuple[Any, RewardState],
    ) -> Filled:
        """Replace the dead groups of a batch.

        Args:
            step: Of the run; with its seed it decides the new prompts and their completions.
            rows: Of the batch's update.
            problems: Its prompts.
            states: Of the scalarizer and of the rewards, as they are before the step.
        """
        config = self.config
        if config.dynamic_sampling == OFF:
            return Filled(rows, problems, {})
        state, reward_state = states
        live = self.live(state, rows)
        drawn, kept, rounds = len(live), int(live.sum()), 0
        rng = numpy_stream(config.seed, step, "dynamic")
        stream = torch_stream(config.seed, step, "dynamic", config.device)
        while not live.all() and rounds < config.dynamic_rounds:
            dead = (~live).nonzero()[:, 0]
            fresh_problems = choose(self.problems, len(dead), rng)
            fresh = self.sampler.draw(fresh_problems, config.completions, reward_state, stream)
            found = self.live(state, fresh)
            rows = replaced(rows, fresh, dead)
            for place, problem in zip(dead.tolist(), fresh_problems, strict=True):
                problems = [*problems[:place], problem, *problems[place + 1 :]]
            live = live.index_copy(0, dead, found)
            drawn, kept, rounds = drawn + len(found), kept + int(found.sum()), rounds + 1
        record = {"groups": drawn, "kept": kept, "rounds": rounds, "unfilled": int((~live).sum())}
        return Filled(rows, problems, {"dynamic_sampling": record})

    def live(self, state: Any, rows: SampledRollouts) -> Tensor:
        """Which groups have a signal: (P,) bool.

        The score is the one under the scalarizer's state before the step. Where that takes more
        than rewards to know, groups with any reward that varies count as live.
        """
        groups, watched = group_by_prompt(rows.prompt), rows.rewards
        if self.config.dynamic_sampling != SCORE:
            at = self.config.objectives.index(self.config.dynamic_sampling)
            watched = watched[:, at : at + 1]
        elif not self.signals.scalarizer.before:
            signal = self.signals.scalarizer.signal(state, Batch(rows.rewards, rows.prompt))[1]
            score = signal.advantage
            score = self.signals.with_terms(signal.score, rows) if score is None else score
            watched = score.to(rows.prompt.device).reshape(len(rows.prompt), -1)
        return (groups.span(watched) > 0).any(1)


def replaced(rows: SampledRollouts, fresh: SampledRollouts, places: Tensor) -> SampledRollouts:
    """Put the k-th prompt of `fresh` in the place of prompt `places[k]`; sizes of groups agree."""
    prompts = int(rows.prompt.max()) + 1
    completions = rows.completions
    moved = fresh.completions._replace(prompt=fresh.completions.prompt + prompts)
    both = joined([completions, moved])
    rewards = torch.cat([rows.raw, fresh.raw])
    each = len(rows.prompt) // prompts
    order = torch.arange(prompts)
    order[places] = prompts + torch.arange(len(places))
    index = (order[:, None] * each + torch.arange(each)).reshape(-1)
    chosen = both.rows(index.to(both.tokens.device))
    numbered = torch.arange(prompts).repeat_interleave(each).to(chosen.prompt)
    return SampledRollouts.of(chosen._replace(prompt=numbered), rewards[index], rows.names)

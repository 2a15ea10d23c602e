"""Evaluation of the policy on the val split while it trains; leaves no trace in the run's state."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.randomness import torch_stream
from covlaw.llm.loop.reward_means import reward_means
from covlaw.llm.rewards import RewardState, initial_state
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import Sampler
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError

SPLIT = "val"


class Validation:
    """Evaluates a run's policy, always on the same prompts with the same random numbers.

    Args:
        sampler: Draws from the policy.
        problems: Of the val split.
        config: Of the run.

    Raises:
        CovlawError: if there are fewer than two problems, which have no standard error.
    """

    def __init__(self, sampler: Sampler, problems: Sequence[Problem], config: TrainConfig) -> None:
        self.sampler, self.config = sampler, config
        self.problems = problems[: config.evaluate_prompts or None]
        if len(self.problems) < 2:
            raise CovlawError(
                f"an evaluation would have {len(self.problems)} prompts of split {SPLIT!r}: use at "
                "least 2, or evaluate_every=0"
            )

    def due(self, step: int) -> bool:
        """Whether the policy is evaluated after so many steps."""
        return step % self.config.evaluate_every == 0

    def record(self, step: int, state: RewardState) -> dict[str, Any]:
        """Evaluate after `step` steps: a line of evaluations.jsonl.

        Conciseness is judged against the run's mean length as it stands; before the first step,
        when there is none, against the evaluated completions' own.
        """
        parts = list(self._sample())
        lengths = torch.cat([completions.lengths.double() for _, completions in parts]).cpu()
        state = state if step else initial_state(lengths)
        rewards = torch.cat([self.sampler.score(c, problems, state) for problems, c in parts])
        return {
            "step": step,
            "split": SPLIT,
            "n_prompts": len(self.problems),
            "n_completions": len(lengths),
            "objectives": list(self.sampler.rewards.names),
            **reward_means(rewards, len(self.problems)),
            "length_mean": float(lengths.mean()),
        }

    def _sample(self) -> Iterator[tuple[Sequence[Problem], Completions]]:
        """A training batch's prompts at a time: an evaluation needs no more memory than a step."""
        config = self.config
        stream = torch_stream(config.seed, 0, "validation", config.device)
        for start in range(0, len(self.problems), config.prompts):
            problems = self.problems[start : start + config.prompts]
            yield problems, self.sampler.sample(problems, config.evaluate_completions, stream)

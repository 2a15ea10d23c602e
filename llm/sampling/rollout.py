"""What a step draws: prompts, completions and their rewards."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.rows import over_ranks, sampled
from covlaw.llm.model.tokenizer import render_prompt
from covlaw.llm.rewards import RewardState
from covlaw.llm.rewards.opinions import counted
from covlaw.llm.sampling.engine import Completions, Engine
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.opinions import without_opinion
from covlaw.theory.estimators.rollouts import Rollouts


@dataclass(frozen=True, eq=False)
class SampledRollouts(Rollouts):
    """Rollouts that an engine drew, with their tokens, of which theory knows nothing.

    Kept where the rewards are, on the CPU; `completions` stay on the policy's device. A single
    completion of a prompt will do: a mean is read of it, and whoever wants a covariance refuses it.
    """

    completions: Completions = field(kw_only=True)
    raw: Tensor = field(kw_only=True)
    """(N, M) rewards as they were given, NaN where one had no opinion; `rewards` has numbers there
    that take no part (`covlaw.llm.rewards.opinions`)."""

    needs_pairs: ClassVar[bool] = False

    @classmethod
    def of(
        cls, completions: Completions, rewards: Tensor, names: Sequence[str]
    ) -> "SampledRollouts":
        """Join completions and their rewards (N, M)."""
        prompt = completions.prompt.to(rewards.device)
        full = without_opinion(rewards, prompt)
        return cls(prompt, full, names, completions=completions, raw=rewards)

    @property
    def silent(self) -> dict[str, dict[str, int]]:
        """Completions and whole prompts without an opinion, by objective that has any."""
        return counted(self.raw, self.prompt, tuple(self.names))

    def weighted(self, advantage: Tensor) -> "SampledRollouts":
        """Give them an advantage, (N,) or (N, T)."""
        return replace(self, advantage=advantage)

    def rows(self, index: Tensor) -> "SampledRollouts":
        """Select rows, dropping columns that are padding in all of them."""
        completions, advantage = self.completions.rows(index), self.advantage
        if advantage is not None:
            width = completions.tokens.shape[1]
            advantage = advantage[index] if advantage.ndim == 1 else advantage[index, :width]
        prompt, raw = self.prompt[index], self.raw[index]
        return replace(
            self,
            prompt=prompt,
            rewards=without_opinion(raw, prompt),
            raw=raw,
            advantage=advantage,
            completions=completions,
        )

    def parted(self, first: int) -> "tuple[SampledRollouts, SampledRollouts]":
        """Part the first few completions of each prompt from the others."""
        start = torch.searchsorted(self.prompt, self.prompt)  # rows of one prompt are adjacent
        chosen = torch.arange(len(self.prompt)) - start < first
        return self.rows(chosen.nonzero()[:, 0]), self.rows((~chosen).nonzero()[:, 0])


class Sampler:
    """Draws completions of a task and scores them, each rank those of its own prompts or rows."""

    def __init__(self, engine: Engine, rewards: Rewards, config: TrainConfig) -> None:
        self.engine, self.rewards, self.config = engine, rewards, config

    def sample(
        self, problems: Sequence[Problem], n: int, generator: torch.Generator
    ) -> Completions:
        """Draw `n` completions of each problem."""
        config = self.config

        def draw(prompts: Sequence[str], stream: torch.Generator) -> Completions:
            return self.engine.sample(prompts, n, config.max_tokens, config.temperature, stream)

        return sampled(draw, [problem.prompt for problem in problems], generator)

    def score(
        self, completions: Completions, problems: Sequence[Problem], state: RewardState
    ) -> Tensor:
        """Score completions of `problems`: (N, M) float64, NaN where one has no opinion."""
        told = state.limited(self.config.max_tokens)
        return over_ranks(lambda own: self.rewards(own, problems, told), completions, "rewards")

    def draw(
        self, problems: Sequence[Problem], n: int, state: RewardState, generator: torch.Generator
    ) -> SampledRollouts:
        """Draw and score `n` completions of each problem; the reward state stays as it is."""
        completions = self.sample(problems, n, generator)
        return self.scored(completions, problems, state)

    def scored(
        self, completions: Completions, problems: Sequence[Problem], state: RewardState
    ) -> SampledRollouts:
        """Join completions of `problems` with their rewards."""
        rewards = self.score(completions, problems, state)
        return SampledRollouts.of(completions, rewards, self.config.objectives)


def as_prompts(tokenizer: Any, problems: Sequence[Problem], system: str = "") -> list[Problem]:
    """Put each question, after the `system` prompt, into the model's chat template if it has one.

    `question` keeps what was asked.
    """
    return [
        p._replace(prompt=render_prompt(tokenizer, p.prompt, system), question=p.prompt)
        for p in problems
    ]


def choose(problems: Sequence[Problem], count: int, rng: np.random.Generator) -> list[Problem]:
    """Choose prompts at random, without repetition while there are enough."""
    replace = count > len(problems)
    return [problems[i] for i in rng.choice(len(problems), size=count, replace=replace)]

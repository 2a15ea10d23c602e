"""What a step draws: prompts, completions and their rewards."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.rows import over_ranks, sampled
from covlaw.llm.model.tokenizer import render_prompt
from covlaw.llm.rewards import RewardState
from covlaw.llm.sampling.engine import Completions, Engine
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem


class Drawn(NamedTuple):
    """Completions with their rewards."""

    completions: Completions
    rewards: Tensor
    """(N, M) float64."""

    def rows(self, index: Tensor) -> "Drawn":
        """Select rows."""
        return Drawn(self.completions.rows(index), self.rewards[index])

    def parted(self, first: int) -> "tuple[Drawn, Drawn]":
        """Part the first few completions of each prompt from the others."""
        prompt = self.completions.prompt.cpu()  # where rewards are
        start = torch.searchsorted(prompt, prompt)  # rows of one prompt are adjacent
        chosen = torch.arange(len(prompt)) - start < first
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
        """Score completions of `problems`: (N, M) float64."""
        return over_ranks(lambda own: self.rewards(own, problems, state), completions, "rewards")

    def draw(
        self, problems: Sequence[Problem], n: int, state: RewardState, generator: torch.Generator
    ) -> Drawn:
        """Draw and score `n` completions of each problem; the reward state stays as it is."""
        completions = self.sample(problems, n, generator)
        return Drawn(completions, self.score(completions, problems, state))


def as_prompts(tokenizer: Any, problems: Sequence[Problem]) -> list[Problem]:
    """Put each question into the model's chat template, where it has one."""
    return [p._replace(prompt=render_prompt(tokenizer, p.prompt)) for p in problems]


def choose(problems: Sequence[Problem], count: int, rng: np.random.Generator) -> list[Problem]:
    """Choose prompts at random, without repetition while there are enough."""
    replace = count > len(problems)
    return [problems[i] for i in rng.choice(len(problems), size=count, replace=replace)]

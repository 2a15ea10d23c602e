"""What a user adds from a folder outside the package; tests copy this file to one."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import covlaw
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.world import World
from covlaw.toys.bandit import RUNG as BANDIT

with Path(f"{__file__}.runs").open("a") as runs:  # how often the file was run
    runs.write("x")


class State(NamedTuple):
    steps: Tensor


class FirstOnly:
    """Everything for the first reward."""

    before, after = frozenset(), frozenset()

    def __init__(self, objectives, weight=1.0):
        self.objectives, self.weight = tuple(objectives), weight

    def init(self):
        return State(torch.zeros(()))

    def signal(self, state, batch: Batch):
        return State(state.steps + 1), Signal(self.weight * batch.rewards[..., 0])

    def update(self, state, seen: Observation):
        return state

    def predictions(self):
        return ()


class Reinforce(PPO):
    """PPO's loss that never clips."""

    clip_low, clip_high = 1.0, float("inf")


def additions(split, path, options):
    """Small sums."""
    start = {"train": 0, "val": 4, "test": 7}[split]
    return [(f"{k} + 1 = ?", str(k + 1)) for k in range(start, start + options.get("count", 3))]


def short(completions, references, lengths, state):
    """One over the length."""
    return 1.0 / lengths


def echo(settings, model, tokenizer, prompts):
    """The engine of this package under another name."""
    return TransformersEngine(model, tokenizer)


def _sides(world: World, rng: np.random.Generator, sign: float = 1.0) -> Sides:
    score = world.rewards[:, 0]
    groups = (world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    found = covlaw.within_prompt_covariance(score, score, *groups).estimate
    return Sides(torch.zeros_like(found), sign * found, torch.full_like(found, 1e-12))


STATEMENT = Statement(
    id="X1",
    title="A reward never has a negative covariance with itself",
    kind="bound",
    formula="Var_x(r) >= 0",
    latex=r"\operatorname{Var}_x(r) \ge 0",
    assumptions=("none",),
    source="a test",
    needs=World,
    sides=_sides,
    control=NegativeControl("the sign turned", lambda world, rng: _sides(world, rng, -1.0)),
    explanation="It is a variance.",
)


class Mine:
    """The bandit rung under another name."""

    name = "mine"
    worlds, updates, trees = BANDIT.worlds, BANDIT.updates, BANDIT.trees
    inner_steps, default_count = BANDIT.inner_steps, BANDIT.default_count


RUNG = Mine()

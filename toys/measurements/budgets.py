"""Where the law stops holding: law budgets of real optimisers, by learning rate (T9, T10)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.budget import law_budget, short_budget
from covlaw.theory.geometry.natural_gradient import DampedSolution, damped_natural_gradient
from covlaw.theory.worlds.updates import Step, Update, UpdateRecipe, exact_update
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.updates import ModuleOptimiser, adamw, sgd, warmed_up
from covlaw.toys.transformer.worlds import TransformerWorld, transformer_world

RATES = {
    "SGD": (0.01, 0.1, 1.0, 10.0),
    "AdamW": (1e-5, 1e-4, 1e-3, 1e-2),
    "natural gradient": (0.003, 0.03, 0.3, 3.0),
}
"""From rates at which the law holds to rates at which it does not."""
WEIGHTS = (0.4, 0.4, 0.2)
"""Of accuracy, conciseness and clarity in the score: clarity is paid, yet pays for the others."""
COMPLETIONS = 256
"""Samples a prompt in the batch of each update."""
DAMPING = 1e-3
"""δ of the natural gradient (F + δI)⁻¹ĝ: undamped, batch noise in flat directions takes over."""
STALE_STEPS, DRIFT = 3, 0.02
"""SGD steps since the policy that sampled the batch, each moving log π by this deviation."""


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Split the change of each objective, for SGD, AdamW and natural gradient at four rates each.

    All updates start from one policy, on one batch that a policy some steps older has sampled.

    Args:
        seed: Model, prompts and batch depend on it alone.
        quick: A model with 4 tokens and 242 completions instead of 6 tokens and 1,562.

    Returns:
        A record an update and objective: `optimiser`, `learning_rate`, `objective`, `terms` (the
        seven of T9, which add up to `realised`), `short` (T10: `law, direction, logit, tilt`,
        which add up to it too, `bound`, `certified`), `realised`, `note`. Finite, JSON-able.
    """
    start = _draw(seed, quick)
    score = start.world.rewards @ torch.tensor(WEIGHTS, dtype=torch.float64)
    now, momentum = warmed_up(start, score, adamw(1e-3), STALE_STEPS, DRIFT)
    solver, behaviour = _NaturalStep(now.world), start.world.theta
    records = []
    for name, rates in RATES.items():
        for rate in rates:
            step = _step(name, rate, momentum, solver)
            recipe = UpdateRecipe(f"{name} {rate:g}", step, rate, behaviour, COMPLETIONS)
            rng = np.random.default_rng([seed, 1])  # the same batch for every update
            update = exact_update(now.world, score, recipe, rng)
            note = solver.note if name == "natural gradient" else ""
            records += [
                {"optimiser": name, "learning_rate": rate, **split, "note": note}
                for split in _splits(update)
            ]
    return records


class _NaturalStep:
    """(F + δI)⁻¹ĝ, solved once for the batch that the rates share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gradient: Tensor | None = None
        self.solution: DampedSolution | None = None

    def direction(self, gradient: Tensor) -> Tensor:
        if self.solution is None or self.gradient is None or not gradient.equal(self.gradient):
            self.gradient = gradient
            self.solution = damped_natural_gradient(self.world, gradient, DAMPING, 1e-3)
        return self.solution.direction

    @property
    def note(self) -> str:
        if self.solution is None:
            return ""
        _, residual, iterations = self.solution
        return f"damping {DAMPING:g}, CG residual {residual:.1e} after {iterations} iterations"


def _draw(seed: int, quick: bool) -> TransformerWorld:
    vocabulary, length = (4, 4) if quick else (6, 4)
    shape = ModelShape(vocabulary, hidden=8, layers=2)
    return transformer_world(shape, length, torch.tensor([[0, 1], [2, 1]]), seed, conflict=0.5)


def _step(name: str, rate: float, momentum: ModuleOptimiser, solver: _NaturalStep) -> Step:
    if name == "natural gradient":
        return lambda gradient: rate * solver.direction(gradient)
    if name == "SGD":
        return replace(momentum, make=sgd(rate), state=None)
    return replace(momentum, make=adamw(rate))


def _splits(update: Update) -> Iterator[dict[str, Any]]:
    rollouts = update.rollouts
    full = law_budget(rollouts.rewards, update.fields, *rollouts.groups)
    short = short_budget(rollouts.rewards, update.fields, *rollouts.groups)
    for j, objective in enumerate(rollouts.names):
        yield {
            "objective": objective,
            "terms": {name: float(term[j]) for name, term in full.terms.items()},
            "short": {
                **{name: float(getattr(short, name)[j]) for name in short._fields[:5]},
                "certified": bool(short.certified[j]),
            },
            "realised": float(update.change[j]),
        }

"""Forecasts of real updates against what happened, on every exact rung (T1, T8, T25)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.budget import fitted_scale
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.worlds.world import World
from covlaw.toys.clipped_updates import (
    Ascent,
    adamw_ascent,
    clipped_update,
    draw_batch,
    gradient_ascent,
    natural_ascent,
)
from covlaw.toys.measurements.calibration_rungs import RUNGS, CalibrationRung

OPTIMISERS: Mapping[str, Callable[[World, float], Ascent]] = {
    "SGD": lambda world, rate: gradient_ascent(rate),
    "AdamW": lambda world, rate: adamw_ascent(rate),
    "natural gradient": natural_ascent,
}
STEPS = 6
"""Clipped inner steps on each batch."""
BATCH, SAMPLE = 16, 64
"""Completions a prompt: in the batch that makes the update, and in the forecast's own sample."""
ROUNDS, QUICK_ROUNDS = 2, 1
"""Worlds for each optimiser and rate."""


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Make updates of six clipped steps on a sampled batch and forecast each in four ways.

    Every update has its own world, score weights and batch.

    Args:
        seed: Decides them all.
        quick: One world for each optimiser and rate instead of two.

    Returns:
        A record an update: `rung`, `update`, `optimiser`, `learning_rate`, `objectives`,
        `realised` (M,) by enumeration of both policies, and `law`, `clipped`, `first_order`,
        `exact_change`, each `{exact, estimate, se}` (M,) in units of reward: expectations over
        all completions, and what `SAMPLE` completions a prompt of π_old, apart from the batch,
        say of it, clustered by prompt. `law` and `clipped` are c·Cov(r, s) and c·Cov(r, W), c the
        regression of the update's first-order field on s or W (T10).
    """
    return [
        _record(name, k, optimiser, rate, seed)
        for name, rung in RUNGS.items()
        for k, (optimiser, rate) in enumerate(_plan(rung, QUICK_ROUNDS if quick else ROUNDS))
    ]


def _plan(rung: CalibrationRung, rounds: int) -> Iterator[tuple[str, float]]:
    for _ in range(rounds):
        for optimiser, rates in rung.rates.items():
            yield from ((optimiser, rate) for rate in rates)


def _record(name: str, k: int, optimiser: str, rate: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, list(RUNGS).index(name), k])
    world = RUNGS[name].draw(rng)
    score = world.rewards @ torch.as_tensor(rng.dirichlet(np.ones(world.rewards.shape[1])))
    batch = draw_batch(world, BATCH, rng)
    update = clipped_update(world, score, batch, OPTIMISERS[optimiser](world, rate), STEPS)
    old, new = world.log_prob_at(), world.log_prob_at(update.theta)
    step = world.directional(update.theta - world.theta)
    signals = ForecastInputs(update.advantage, update.weight, step, new - old)
    exact = _forecasts(world.rewards, signals, *world.rollouts().groups)
    drawn = torch.repeat_interleave(draw_batch(world, SAMPLE, rng).to(torch.int64))
    sampled = _forecasts(
        world.rewards[drawn], ForecastInputs(*(x[drawn] for x in signals)), world.prompt[drawn]
    )
    return {
        "rung": name,
        "update": k,
        "optimiser": optimiser,
        "learning_rate": rate,
        "objectives": list(world.names),
        "realised": ((world.row_weight(new.exp()) - world.row_weight()) @ world.rewards).tolist(),
        **{
            name: {
                "exact": exact[name].estimate.tolist(),
                "estimate": _digits(sampled[name].estimate),
                "se": _digits(sampled[name].standard_error),
            }
            for name in exact
        },
    }


class ForecastInputs(NamedTuple):
    """What the four forecasts read of each completion, (N,) each."""

    score: Tensor
    weight: Tensor
    step: Tensor
    log_ratio: Tensor


def _forecasts(rewards: Tensor, signals: ForecastInputs, *groups: Any) -> dict[str, Covariance]:
    score, weight, step, log_ratio = signals
    law, clipped = (fitted_scale(x, step, *groups) * x for x in (score, weight))
    return {
        "law": within_prompt_covariance(rewards, law, *groups),
        "clipped": within_prompt_covariance(rewards, clipped, *groups),
        "first_order": within_prompt_covariance(rewards, step, *groups),
        "exact_change": exact_change(rewards, log_ratio, *groups),
    }


def _digits(values: Tensor) -> list[float]:
    """Six significant digits: more than a sample's error leaves."""
    return [float(f"{x:.5e}") for x in values.tolist()]

"""CTWA on random problems with feasible targets: how often each signal gets there (T37, T38)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.dynamics.ctwa_dynamics import Controller, run_ctwa
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements.ctwa._bundles_and_weights import full_rank, target_scale
from covlaw.theory.statements.ctwa._problems import drawn_targets, random_problems

OBJECTIVES, PROMPTS = 3, 3
RATIOS = (0.3, 1.0, 3.0, 10.0)
"""tr B/tr C: variance of the prompts' means over that within prompts."""
SCALE_FREE = ("grpo", "whitened", "pooled")
DEMAND = 0.9
"""Targets, as a share of what some tried weights attain: feasible by construction."""
TRIALS = 256
STEP, SLACK = 0.05, 1e-3


def ensemble(seed: int, quick: bool) -> list[dict[str, Any]]:
    """Count the random problems on which CTWA, from equal shares, reaches feasible targets.

    Args:
        seed: Of the problems, which are the same for every signal and ratio up to their means.
        quick: Fewer problems and updates.

    Returns:
        A record a ratio and signal: `ratio`, `signal`, `n`, `reached`, `steps`.
    """
    size, steps = (6, 20) if quick else (100, 1500)
    return [
        {"kind": "ensemble", "ratio": ratio, "signal": signal}
        | _reached(ratio, signal, seed, size, steps)
        for ratio in RATIOS
        for signal in SCALE_FREE
    ]


def _reached(ratio: float, signal: str, seed: int, size: int, steps: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, 30])
    problems = spread(full_rank(random_problems(rng, size, OBJECTIVES, PROMPTS)), ratio)
    unit = target_scale(problems)
    targets = feasible_targets(problems, signal, drawn_targets(rng, unit), rng)
    controller = Controller(signal, STEP / unit.mean(-1))
    end = run_ctwa(problems, targets, -unit.log(), controller, steps, SLACK)
    return {"n": len(targets), "reached": int(end.reached.sum()), "steps": steps}


def spread(problems: PromptCovariances, ratio: float) -> PromptCovariances:
    """Scale the prompts' means until tr B = ratio·tr C."""
    traces = [m.diagonal(dim1=-2, dim2=-1).sum(-1) for m in (problems.within(), problems.between())]
    factor = (ratio * traces[0] / traces[1]).sqrt()
    return problems._replace(means=problems.means * factor[:, None, None])


def feasible_targets(
    problems: PromptCovariances, signal: str, shape: Tensor, rng: np.random.Generator
) -> Tensor:
    """`shape` times 90 % of the largest min_j y_j/shape_j of random weights: (B, M)."""
    count = shape.shape[-1]
    trials = torch.as_tensor(rng.dirichlet(np.ones(count), size=(TRIALS, 1)))
    weights = trials / target_scale(problems)
    best = (SIGNALS[signal](problems, weights) / shape).amin(-1).amax(0)
    return DEMAND * best[:, None] * shape

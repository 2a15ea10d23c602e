"""E3: where GradNorm settles, an objective's fate is the sum of its correlations."""

import math

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements.base import (
    NOTHING,
    Ensemble,
    NegativeControl,
    Part,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    gradient_operations,
    policy_gradients,
)
from covlaw.theory.worlds.world import World

STEPS = (0.1, 0.02, 0.004)
"""Steps of the weights, from coarse to fine."""

SPREAD = 0.5
"""Spread of the log-lengths at the start."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Alignment of g_j with Σ_k λ_k g_k at the settled weights, against Σ_k corr_jk.

    In the geometry of the policy gradients or in that of the natural gradients, whose Gramian is
    C; all objectives together, and at times the first two alone, of which none may fall.
    """
    gram = _gramian(world, rng)
    parts = [_compare(gram, world, rng)] if gram.numel() else []
    if gram.shape[0] >= 2 and rng.integers(3) == 0:
        measured, own, error = _compare(gram[:2, :2], world, rng)
        parts.append((measured, torch.ones_like(own), error))
    return joined([NOTHING, *parts])


def never_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: equal gradient lengths protect every objective, three or more too."""
    gram = _gramian(world, rng)
    if not gram.numel():
        return joined([NOTHING])
    measured, own, error = _compare(gram, world, rng)
    return Sides(measured, torch.ones_like(own), error)


def shifted_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the threshold −1/m in place of −1/(m − 1)."""
    gram = _gramian(world, rng)
    if gram.shape[0] < 2:
        return joined([NOTHING])
    measured, own, error = _compare(gram, world, rng)
    count = gram.shape[0]
    return Sides(measured, 1 + count * (own - 1) / (count - 1), error)


def settled_weights(gram: Tensor, rng: np.random.Generator) -> Tensor:
    """λ (M,) where the scalarizer's own loop settles on a frozen Gramian, α = 0.

    It starts off balance by `SPREAD`; the spread of the log-lengths then shrinks by at least `step`
    a batch until it is within the band.
    """
    names = [f"objective {j}" for j in range(gram.shape[0])]
    batch = Batch(torch.zeros_like(gram), torch.zeros(gram.shape[0], dtype=torch.int64))
    apart = torch.as_tensor(rng.uniform(-SPREAD / 2, SPREAD / 2, size=gram.shape[0]))
    start = torch.log_softmax(apart - gram.diagonal().log() / 2, 0)
    state, spread = (
        make_scalarizer("gradnorm", names, alpha=0.0).init()._replace(coordinates=start),
        SPREAD,
    )
    for step in STEPS:
        scalarizer = make_scalarizer("gradnorm", names, alpha=0.0, step=step)
        for _ in range(math.ceil(spread / step) + 4):
            state, _ = scalarizer.signal(state, batch._replace(gramian=gram))
        spread = band(step)
    weights: Tensor = state.coordinates.exp()
    return weights


def band(step: float) -> float:
    """Largest spread of the settled log-lengths: one batch moves two of them by 2·step·e^spread."""
    return 2 * step * math.exp(4 * step)


def _gramian(world: World, rng: np.random.Generator) -> Tensor:
    """Of the policy gradients or the natural ones; objectives without a gradient left out."""
    if rng.integers(2):
        gradients = policy_gradients(world)
        gram = gradients @ gradients.T
    else:
        mass = world.log_prob_at().exp()
        gram = covariance_matrix(world.rewards, world.prompt, mass, world.prompt_mass)
    kept = gram.diagonal() > 0
    return gram[kept][:, kept]


def _compare(gram: Tensor, world: World, rng: np.random.Generator) -> Part:
    """(⟨g_j, d⟩/(|g_j|·Ḡ), Σ_k corr_jk, tolerance) of each objective."""
    norm = gram.diagonal().sqrt()
    lengths = settled_weights(gram, rng) * norm
    correlation = gram / norm[:, None] / norm
    measured = correlation @ (lengths / lengths.mean())
    count = gram.shape[0]
    error = count * math.expm1(band(STEPS[-1])) + rounding(float(count), gradient_operations(world))
    return measured, correlation.sum(1), error.expand_as(measured)


STATEMENT = Statement(
    id="E3",
    title="GradNorm lets an objective fall once its mean correlation is below −1/(m−1)",
    explanation="GradNorm at α = 0 settles where every weighted gradient is equally long,"
    " λ_j ∝ 1/|g_j|. The alignment of objective j with the combined gradient is then the sum of its"
    " correlations with all objectives, itself included. With two objectives that is 1 + corr ≥ 0:"
    " none falls. With m ≥ 3, objective j falls exactly when its mean correlation with the others"
    " is below −1/(m−1), however the lengths are balanced.",
    kind="sign",
    formula="⟨g_j, Σ_k λ_k g_k⟩/(|g_j| Ḡ) → Σ_k corr_jk = 1 + (m−1)·mean_{k≠j} corr_jk;"
    " m = 2: never negative",
    latex=r"\frac{\langle g_j,\sum_k\lambda_kg_k\rangle}{\|g_j\|\bar G}\to\sum_k\mathrm{corr}_{jk}"
    r"=1+(m-1)\,\overline{\mathrm{corr}}_{j}",
    assumptions=(
        "α = 0",
        "frozen gradients, none of them 0",
        "weights within the step's band of the balance",
    ),
    source="ours, of the rule of Chen et al. 2018 (arXiv 1711.02257)",
    needs=World,
    sides=sides,
    control=NegativeControl("no objective falls, for any number of objectives", never_sides),
    nearer=(NegativeControl("below −1/m", shifted_sides),),
    ensemble=Ensemble(conflict_worlds, 50),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

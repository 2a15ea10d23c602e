"""E2: gradient-based dynamic weighting takes weight from the objectives that oppose the sum."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements.base import (
    NOTHING,
    Ensemble,
    NegativeControl,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
    gradient_operations,
    policy_gradients,
    weights_of,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Change of each weight, from equal weights and from random ones, against I_j − threshold.

    From equal weights the threshold is ≥ 0: there every objective with I_j < 0 is listed once
    more, with I_j itself.
    """
    return _compare(world, rng, relative=True)


def _compare(world: World, rng: np.random.Generator, relative: bool) -> Sides:
    gradients = policy_gradients(world)
    total = gradients.sum(0)
    influence, size = gradients @ total, gradients.norm(dim=1) * gradients.norm(dim=1).sum()
    if not bool(size.max() > 0):
        return joined([NOTHING])
    rate = float(10 ** rng.uniform(-2, 1) / size.max())
    drawn = torch.as_tensor(rng.dirichlet(np.ones(len(world.names))))
    parts = []
    for start in (torch.ones_like(drawn) / len(drawn), drawn):
        change = _weight_change(world, gradients, start, rate)
        error = start * rounding(2 + start.log().abs() + rate * size, gradient_operations(world))
        threshold = _threshold(influence, start, rate) if relative else 0.0
        parts.append((change, influence - threshold, error))
    opposing = influence < 0
    change, _, error = parts[0]
    parts.append((change[opposing], influence[opposing], error[opposing]))
    return joined(parts)


def own_sign_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a weight moves as its own influence's sign says, threshold 0."""
    return _compare(world, rng, relative=False)


def raised_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant, CTWA's direction: whoever opposes the sum gains weight."""
    own = sides(world, rng)
    return own._replace(predicted=-own.predicted)


def _weight_change(world: World, gradients: Tensor, start: Tensor, rate: float) -> Tensor:
    scalarizer = make_scalarizer("dynamic", world.names, step=rate, weights=start.tolist())
    batch = frozen_batch(world, gradients @ gradients.T)
    return weights_of(scalarizer.signal(scalarizer.init(), batch)[1]) - start


def _threshold(influence: Tensor, weights: Tensor, rate: float) -> Tensor:
    """(1/κ)·log Σ_k λ_k e^{κ I_k}: the influence at which a normalised weight stays the same."""
    top = influence.max()
    return top + (weights * torch.expm1(rate * (influence - top))).sum().log1p() / rate


STATEMENT = Statement(
    id="E2",
    title="Dynamic reward weighting takes weight from the objectives that oppose the sum",
    explanation="The gradient-based form multiplies each weight by e^{κ I_j}, I_j the inner product"
    " of objective j's gradient with the sum of all gradients, and renormalises. An objective that"
    " the others pull down has I_j < 0 and loses weight, so the rich get richer: the opposite of"
    " CTWA. The exact threshold is the weighted exponential mean of the influences, and from equal"
    " weights that is never negative.",
    kind="sign",
    formula="sign(λ_j' − λ_j) = sign(I_j − (1/κ) log Σ_k λ_k e^{κ I_k}), I_j = ⟨g_j, Σ_k g_k⟩;"
    " from equal weights I_j < 0 ⇒ λ_j falls",
    latex=r"\mathrm{sign}(\lambda_j'-\lambda_j)=\mathrm{sign}\Bigl(I_j-\tfrac1\kappa\log\sum_k"
    r"\lambda_ke^{\kappa I_k}\Bigr),\quad I_j=\langle g_j,\sum_kg_k\rangle",
    assumptions=("gradients of this batch", "κ > 0", "weights > 0, normalised to sum to 1"),
    source="ours, of the rule of Lu et al. 2025 (arXiv 2509.11452)",
    needs=World,
    sides=sides,
    control=NegativeControl("whoever opposes the sum gains weight", raised_sides),
    nearer=(NegativeControl("threshold 0: whoever agrees with the sum gains", own_sign_sides),),
    ensemble=Ensemble(conflict_worlds, 150),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

"""E4: a violated constraint starts to improve at one exact multiplier, and no sooner."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.scalarizers import Observation
from covlaw.theory.statements.base import (
    NOTHING,
    Ensemble,
    NegativeControl,
    Part,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.scalarization._constraint_pairs import (
    Constraint,
    constrained_covariance,
    constraint_of,
    lagrangian,
    random_pair,
)
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
)
from covlaw.theory.worlds.world import World

LONGEST = 12
"""Most steps of the multiplier that a delay is checked over."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r_k, ·) at λ = 0 and at λ*, and the steps until it turns positive, of a random pair."""
    parts: list[Part] = [NOTHING]
    pair = random_pair(world, rng)
    for reference in (False, True):
        found = constraint_of(pair, reference)
        if found is not None:
            parts += [
                *_threshold_parts(pair, found, reference),
                _delay(pair, found, reference, rng),
            ]
    return joined(parts)


def unscaled_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the threshold −Cov(r_k, r_0)/Var_k holds for standardised rewards too."""
    pair = random_pair(world, rng)
    found = constraint_of(pair, reference=True)
    if found is None:
        return joined([NOTHING])
    wrong = found._replace(scale=torch.ones_like(found.scale))
    at = constrained_covariance(pair, lagrangian(pair, True), wrong.threshold)
    return Sides(at[None], torch.zeros(1, dtype=torch.float64), found.rounding[None])


def smaller_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a multiplier 1 % smaller turns the constraint already."""
    pair = random_pair(world, rng)
    found = [(constraint_of(pair, reference), reference) for reference in (False, True)]
    parts = [_turned(pair, own, reference, 0.99) for own, reference in found if own is not None]
    return joined([NOTHING, *parts])


def _threshold_parts(pair: World, found: Constraint, reference: bool) -> list[Part]:
    scalarizer = lagrangian(pair, reference)
    free = constrained_covariance(pair, scalarizer, torch.zeros_like(found.threshold))
    start = free[None], (found.cross / found.scale[0])[None], found.rounding[None]
    return [start, _turned(pair, found, reference)]


def _turned(pair: World, found: Constraint, reference: bool, share: float = 1.0) -> Part:
    """Cov(r_k, ·) at `share` of λ* against 0."""
    threshold = found.threshold
    if not bool(threshold > 0):
        return NOTHING
    error = found.rounding * (1 + threshold)
    turned = constrained_covariance(pair, lagrangian(pair, reference), share * threshold)
    return turned[None], torch.zeros(1, dtype=torch.float64), error[None]


def _delay(pair: World, found: Constraint, reference: bool, rng: np.random.Generator) -> Part:
    """Steps of the multiplier until Cov(r_k, ·) > 0, on frozen values: ⌊λ*/(step·violation)⌋ + 1.

    The step is chosen so that λ* lies halfway between two multipliers, as far from both as can be.
    """
    threshold, steps = found.threshold, int(rng.integers(0, LONGEST))
    slope = found.variance / found.scale[1] * threshold / (steps + 0.5)
    if not bool(threshold > 0) or not bool(slope / 2 > found.rounding * (2 + 2 * threshold)):
        return NOTHING
    violation = float(10 ** rng.uniform(-1, 1))
    rate = float(threshold) / ((steps + 0.5) * violation)
    # the minimum is given relative to values of 0, so that the violation carries no rounding
    scalarizer = lagrangian(pair, reference, minimum=violation, step=rate)
    state, count = scalarizer.init(), 0
    while (
        count <= LONGEST and not constrained_covariance(pair, scalarizer, state.multipliers[1]) > 0
    ):
        state = scalarizer.update(state, Observation(values=torch.zeros_like(pair.rewards[0])))
        count += 1
    return _exact(count), _exact(steps + 1), torch.zeros(1, dtype=torch.float64)


def _exact(value: int) -> Tensor:
    return torch.tensor([float(value)], dtype=torch.float64)


STATEMENT = Statement(
    id="E4",
    title="A violated constraint starts to improve at one exact multiplier, and no sooner",
    explanation="A Lagrangian trains on the primary reward plus λ_k times each constrained one, and"
    " raises λ_k while the constraint is violated. While λ_k is 0 the constraint moves as"
    " Cov(r_k, r_0): under conflict it gets worse first. It turns at λ* = −Cov(r_k, r_0)/Var_k"
    " (with standardised rewards times sd_k/sd_0), and the multiplier needs at least"
    " λ*/(step·violation) steps to get there.",
    kind="identity",
    formula="Cov(r_k, s_λ) = 0 at λ* = −Cov(r_k, r_0)·sd_k/(sd_0·Var_k) (published form: sd = 1);"
    " at a constant violation v it turns after ⌊λ*/(step·v)⌋ + 1 steps",
    latex=r"\lambda^*=-\frac{\mathrm{Cov}(r_k,r_0)\,\mathrm{sd}_k}{\mathrm{sd}_0\,\mathrm{Var}_k},"
    r"\qquad t^*=\Bigl\lfloor\frac{\lambda^*}{\eta_\lambda v}\Bigr\rfloor+1",
    assumptions=(
        "one constraint, violated",
        "frozen policy; the delay at a constant violation (a larger one bounds it from below)",
        "first order, along the tilt",
    ),
    source="ours, of the rule of Mahdavi, Yang & Jin 2013 (NIPS 26)",
    needs=World,
    sides=sides,
    control=NegativeControl("the published threshold for standardised rewards", unscaled_sides),
    nearer=(NegativeControl("λ* 1 % smaller", smaller_sides),),
    ensemble=Ensemble(conflict_worlds, 60),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

"""E4: a violated constraint starts to improve at one exact multiplier, and no sooner."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.covariance import covariance_matrix, within_prompt_covariance
from covlaw.theory.rounding import rounding
from covlaw.theory.scalarizers import Observation, Scalarizer, make
from covlaw.theory.scalarizers.lagrangian import LagrangianState
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.scalarization.frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    NOTHING,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.statements.support.tolerances import covariance_rounding
from covlaw.theory.worlds import World

LONGEST = 12
"""Most steps of the multiplier that a delay is checked over."""

Part = tuple[Tensor, Tensor, Tensor]


class Constraint(NamedTuple):
    """What decides the fate of the constraint: r_k beside the primary reward r_0."""

    cross: Tensor
    """() Cov(r_k, r_0)."""
    variance: Tensor
    """() Var_k, within prompts."""
    scale: Tensor
    """(2,) sd_0 and sd_k over the batch with `reference`, else 1."""
    rounding: Tensor
    """() bound on the rounding of Cov(r_k, ·/scale)."""

    @property
    def threshold(self) -> Tensor:
        """λ* = −Cov(r_k, r_0)·sd_k/(sd_0·Var_k)."""
        return -self.cross * self.scale[1] / (self.scale[0] * self.variance)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r_k, ·) at λ = 0 and at λ*, and the steps until it turns positive, of a random pair."""
    parts: list[Part] = [NOTHING]
    pair = _pair(world, rng)
    for reference in (False, True):
        found = _constraint(pair, reference)
        if found is not None:
            parts += [
                *_threshold_parts(pair, found, reference),
                _delay(pair, found, reference, rng),
            ]
    return joined(parts)


def unscaled_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the threshold −Cov(r_k, r_0)/Var_k holds for standardised rewards too."""
    pair = _pair(world, rng)
    found = _constraint(pair, reference=True)
    if found is None:
        return joined([NOTHING])
    wrong = found._replace(scale=torch.ones_like(found.scale))
    at = _covariance(pair, _scalarizer(pair, True), wrong.threshold)
    return Sides(at[None], torch.zeros(1, dtype=torch.float64), found.rounding[None])


def _threshold_parts(pair: World, found: Constraint, reference: bool) -> list[Part]:
    scalarizer, threshold = _scalarizer(pair, reference), found.threshold
    free = _covariance(pair, scalarizer, torch.zeros_like(threshold))
    parts = [(free[None], (found.cross / found.scale[0])[None], found.rounding[None])]
    if threshold > 0:
        error = found.rounding * (1 + threshold)
        turned = _covariance(pair, scalarizer, threshold)
        parts.append((turned[None], torch.zeros(1, dtype=torch.float64), error[None]))
    return parts


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
    scalarizer = _scalarizer(pair, reference, minimum=violation, step=rate)
    state, count = scalarizer.init(), 0
    while count <= LONGEST and not _covariance(pair, scalarizer, state.multipliers[1]) > 0:
        state = scalarizer.update(state, Observation(values=torch.zeros_like(pair.rewards[0])))
        count += 1
    return _exact(count), _exact(steps + 1), torch.zeros(1, dtype=torch.float64)


def _exact(value: int) -> Tensor:
    return torch.tensor([float(value)], dtype=torch.float64)


def _pair(world: World, rng: np.random.Generator) -> World:
    """The world with two of its objectives, the first of them to be maximised."""
    if len(world.names) < 2:
        return world
    chosen = rng.permutation(len(world.names))[:2]
    return replace(world, rewards=world.rewards[:, chosen], names=("primary", "constraint"))


def _scalarizer(pair: World, reference: bool, **options: Any) -> Scalarizer[LagrangianState]:
    return make("lagrangian", pair.names, reference=reference, cap=1e300, **options)


def _constraint(pair: World, reference: bool) -> Constraint | None:
    """None where one of the rewards hardly varies: its variance is then mostly rounding."""
    if len(pair.names) < 2:
        return None
    weight, mass = pair.row_weight(), pair.log_prob_at().exp()
    gap = pair.rewards - weight @ pair.rewards
    spread = (weight @ gap.square()).sqrt()
    size = pair.rewards.abs().amax(0)
    scale = spread if reference else torch.ones_like(spread)
    matrix = covariance_matrix(pair.rewards, pair.prompt, mass, pair.prompt_mass)
    error = covariance_rounding(pair, pair.rewards, size.max()[None])[1]
    if not bool((spread > rounding(size, 64 * len(mass)) * 1e6).all()):
        return None
    if not bool(matrix[1, 1] > 1e6 * error):
        return None
    factor = (1 / scale).sum() * (1 + (size / spread).max() if reference else 1.0)
    return Constraint(matrix[1, 0], matrix[1, 1], scale, 4 * error * factor)


def _covariance(pair: World, scalarizer: Scalarizer[LagrangianState], multiplier: Tensor) -> Tensor:
    """Cov(r_k, signal) with λ_k = `multiplier`: ()."""
    state = LagrangianState(torch.stack([torch.zeros_like(multiplier), multiplier]))
    batch = frozen_batch(pair)
    score = scalarizer.signal(state, batch)[1].score
    return within_prompt_covariance(
        pair.rewards, score, pair.prompt, batch.mass, pair.prompt_mass
    ).estimate[1]


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
    ensemble=Ensemble(conflict_worlds, 60),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

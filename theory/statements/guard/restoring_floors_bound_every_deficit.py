"""T64: floors that ask back a share κ of what is lost keep every deficit below sup|e|/κ.

D_{t+1} ≤ (1 − κ)D_t + |e_t|; through a running mean of share τ the same bound holds, and nothing
overshoots, for κ ≤ (1 − √(1 − τ))²/τ: κ/τ ≤ 1/4 as τ → 0, as in T40.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.guard.floors import largest_strength
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)

LAGGING = 0.25
"""Largest share of a running mean in the false variants: so that what overshoots is seen."""
STEPS, LISTED = 400, 10
"""Steps of a path; and of those of which every path of two-valued noise is listed."""

NO_POLICY = "a recursion of deficits and errors is all that enters: nothing of a policy"


class Restorations(NamedTuple):
    """B objectives that are asked back what they lost."""

    strength: Tensor
    """(B,) κ."""
    share: Tensor
    """(B,) τ."""
    errors: Tensor
    """(T, B) e_t of a step's realised effect b_t + e_t."""


def draw_restorations(rng: np.random.Generator, count: int) -> Iterator[Restorations]:
    """Yield one batch: τ from 1/20 to 1, κ up to its limit; random, constant, switching errors."""
    share = np.where(rng.random(count) < 0.25, 1.0, np.exp(rng.uniform(np.log(0.05), 0, count)))
    limit = np.array([largest_strength(t) for t in share])
    strength = limit * rng.choice([1.0, 0.9, 0.5, 0.2], size=count)
    steady = -np.ones((STEPS, count))
    rise = (rng.random(count) * STEPS / 2).astype(int)
    switching = np.where(np.arange(STEPS)[:, None] < rise, 1.0, -1.0)  # up, then down for good
    errors = np.stack([rng.uniform(-1, 1, (STEPS, count)), steady, switching])
    kind = rng.integers(3, size=count)
    yield Restorations(
        torch.as_tensor(strength),
        torch.as_tensor(share),
        torch.as_tensor(errors[kind, :, np.arange(count)].T),
    )


def sides(given: Restorations, rng: np.random.Generator) -> Sides:
    """Largest deficits against sup|e|/κ, overshoot against 0; at τ = 1 a step and the variance."""
    return joined(
        [
            _deficits(given),
            _overshoot(given.strength, given.share),
            _one_step(given),
            _variance(given.strength.clamp(max=1.0)),
        ]
    )


def lag_forgotten_sides(given: Restorations, rng: np.random.Generator) -> Sides:
    """The false variant: any κ ≤ 1 will do, as without a running mean."""
    share = given.share.clamp(max=LAGGING)
    return joined([_overshoot(torch.ones_like(share), share)])


def beyond_sides(given: Restorations, rng: np.random.Generator) -> Sides:
    """The false variant: nothing overshoots at a strength a tenth beyond the limit either."""
    share = given.share.clamp(max=LAGGING)
    limit = share.new_tensor([largest_strength(float(t)) for t in share])
    return joined([_overshoot(1.1 * limit, share)])


def smaller_sides(given: Restorations, rng: np.random.Generator) -> Sides:
    """The false variant: deficits stay 1 % below sup|e|/κ, which constant errors reach."""
    measured, bound, error = _deficits(given)
    return Sides(measured, 0.99 * bound, error)


def path(given: Restorations, start: float = 0.0) -> Tensor:
    """ref − J_t of every step (T + 1, B), the running mean started at J_0 = ref − start."""
    behind = torch.full_like(given.strength, start)
    seen, found = behind.clone(), [behind]
    for error in given.errors:
        behind = behind - given.strength * seen.clamp(min=0.0) - error
        seen = (1 - given.share) * seen + given.share * behind
        found.append(behind)
    return torch.stack(found)


def _deficits(given: Restorations) -> Part:
    """sup_t D_t of paths that start without a deficit."""
    largest, sup = path(given).amax(0).clamp(min=0.0), given.errors.abs().amax(0)
    return largest, sup / given.strength, rounding(sup * STEPS, 8 * STEPS)


def _overshoot(strength: Tensor, share: Tensor) -> Part:
    """How far J rises above its reference on the way back from a deficit of 1, without errors."""
    quiet = torch.zeros(STEPS, len(strength), dtype=torch.float64)
    above = (-path(Restorations(strength, share, quiet), start=1.0)).amax(0)
    return above, torch.zeros_like(above), rounding(torch.ones_like(above), 8 * STEPS)


def _one_step(given: Restorations) -> Part:
    """D_{t+1} against (1 − κ)D_t + |e_t| with the last batch's mean, τ = 1."""
    deficit = path(given._replace(share=torch.ones_like(given.share))).clamp(min=0.0)
    bound = (1 - given.strength) * deficit[:-1] + given.errors.abs()
    allowed = rounding(deficit[1:] + bound + STEPS, 8 * STEPS)
    return deficit[1:].reshape(-1), bound.reshape(-1), allowed.reshape(-1)


def _variance(strength: Tensor) -> Part:
    """E D_T² over all 2^T paths of noise ±1 against 1/(κ(2 − κ)), τ = 1."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * LISTED)  # (2^T, T)
    behind = torch.zeros(len(signs), len(strength), dtype=torch.float64)
    for column in signs.T:
        behind = behind - strength * behind.clamp(min=0.0) - column[:, None]
        behind = behind.clamp(min=0.0)  # a deficit, not a surplus that would cushion the next
    found = behind.square().mean(0)
    return found, 1 / (strength * (2 - strength)), rounding(found, 2 * len(signs))


def proofs() -> list[Proof]:
    """The lagged recursion's matrix: trace, determinant, and κ where its eigenvalues meet."""
    k, t = sympy.symbols("kappa tau", positive=True)
    matrix = sympy.Matrix([[1, -k], [t, 1 - t - k * t]])  # (x, y), y' = (1 − τ)y + τx'
    limit = (1 - sympy.sqrt(1 - t)) ** 2 / t
    apart = (matrix.trace() ** 2 - 4 * matrix.det()).subs(k, limit)
    gain = (sympy.eye(2) - matrix).inv() * sympy.Matrix([-1, -t])
    stationary = 1 / (1 - (1 - k) ** 2) - 1 / (k * (2 - k))
    return [
        Proof("the determinant is 1 − τ", sympy.simplify(matrix.det() - (1 - t))),
        Proof("the eigenvalues meet at (1 − √(1 − τ))²/τ", sympy.simplify(sympy.expand(apart))),
        Proof("a constant error e leaves a deficit of e/κ", sympy.simplify(gain[0] + 1 / k)),
        Proof("κ/τ → 1/4 as τ → 0", sympy.limit(limit / t, t, 0) - sympy.Rational(1, 4)),
        Proof("the stationary variance is σ²/(κ(2 − κ))", sympy.simplify(stationary)),
    ]


STATEMENT = Statement(
    id="T64",
    title="Floors that ask back a share of what was lost keep every deficit bounded",
    explanation="A guard with floors 0 forbids further falls to first order, but what curvature and"
    " sampling noise take is gone: losses add up like a random walk. Floors of κ times the deficit"
    " (how far an objective lies below its reference: its start, a share of its best, or a target)"
    " ask it back. Each step then shrinks the deficit by κ and adds the step's error, so deficits"
    " never exceed the largest error over κ. If the deficit is read off a running mean of share τ,"
    " the mean lags, and a large κ makes the objective overshoot, at the others' cost; up to"
    " κ = (1 − √(1 − τ))²/τ it does not, and the same bound holds. With a target in place of the"
    " reference the guard is a constrained optimiser.",
    kind="bound",
    formula="b_j = κ D_j: D_{t+1} ≤ (1 − κ) D_t + |e_t|, D ≤ sup|e|/κ, E D² ≤ σ²/(κ(2 − κ));"
    " with an EMA of share τ no overshoot and D ≤ sup|e|/κ for κ ≤ (1 − √(1 − τ))²/τ",
    latex=r"D_{t+1}\le(1-\kappa)D_t+|e_t|,\quad D_t\le\sup|e|/\kappa,\quad "
    r"\kappa\le\tfrac{(1-\sqrt{1-\tau})^2}{\tau}",
    assumptions=(
        "0 < κ ≤ 1; the step's effect is b_j + e_t or more",
        "the variance: τ = 1, independent errors of mean 0 and variance σ²",
        "sup|e|/κ through a running mean: numerical support, and proved without the positive part",
    ),
    source="ours",
    needs=Restorations,
    sides=sides,
    control=NegativeControl("any κ ≤ 1, as without a running mean", lag_forgotten_sides),
    nearer=(
        NegativeControl("no overshoot a tenth beyond the limit", beyond_sides),
        NegativeControl("sup|e|/κ 1 % smaller", smaller_sides),
    ),
    ensemble=Ensemble(draw_restorations, 128),
    not_applicable=dict.fromkeys(("bandit", "tabular", "transformer", "llm"), NO_POLICY),
    proofs=proofs,
)

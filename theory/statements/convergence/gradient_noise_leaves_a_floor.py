"""T42: with noisy gradients the gap falls geometrically to a floor and no further.

E δ_T ≤ q^T·δ_0 + (1 − q^T)·Lγσ²/(2μ(2 − Lγ)), q = 1 − μγ(2 − Lγ). Every expectation is exact: all
2^T sign patterns of the noise are followed, and on quadratics the second moment obeys a recursion.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.pl_rates import classic_rate, noisy_gap_bound
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.convergence._pl_problems import NO_PL_POLICY, PLBatch, draw_problems

STEPS = 6
LONG = 300
Bound = Callable[[Tensor, int, Tensor, Tensor, Tensor, Tensor], Tensor]


def sides(batch: PLBatch, rng: np.random.Generator) -> Sides:
    """E δ_T after every step against the bound: enumerated, and on the tight quadratic."""
    return _noisy_descent(batch, rng, noisy_gap_bound)


def small_step_sides(batch: PLBatch, rng: np.random.Generator) -> Sides:
    """The false variant: the floor γLσ²/(4μ) of infinitely small steps, at every step size."""
    return _noisy_descent(batch, rng, small_step_bound)


def small_step_bound(
    initial: Tensor, steps: int, mu: Tensor, smoothness: Tensor, step: Tensor, variance: Tensor
) -> Tensor:
    """q^T·δ_0 + γLσ²/(4μ)."""
    kept = classic_rate(mu, smoothness, step) ** steps
    return kept * initial + step * smoothness * variance / (4 * mu)


def _noisy_descent(batch: PLBatch, rng: np.random.Generator, bound: Bound) -> Sides:
    sigma = batch.smoothness * torch.as_tensor(10 ** rng.uniform(-2, 1, len(batch.step)))
    enumerated = _enumerated(batch, rng, sigma, bound)
    return joined([enumerated, _tight_quadratic(batch, sigma, bound)])


def _enumerated(batch: PLBatch, rng: np.random.Generator, sigma: Tensor, bound: Bound) -> Part:
    """Noise ±σv_t with v_t a random unit vector: the mean over all sign patterns."""
    x = batch.start[:, :1]
    initial, constants = batch.value(x)[:, 0], (batch.mu, batch.smoothness, batch.step)
    measured, predicted, tolerance = [], [], []
    reach = x.norm(dim=-1)
    for t in range(1, STEPS + 1):
        kick = _kick(rng, x) * (batch.step * sigma)[:, None, None]
        moved = batch.descend(x)
        x = torch.cat([moved + kick, moved - kick], 1)
        # each of t steps rounds at most as the last one, carried on by a (1 + γL ≤ 3)-Lipschitz map
        reach = 3 * reach + kick.norm(dim=-1)
        error = batch.value_rounding(x, t * reach).mean(1)
        measured.append(batch.value(x).mean(1))
        predicted.append(bound(initial, t, *constants, sigma.square()))
        tolerance.append(error + rounding(predicted[-1] + initial, 4000))
    return torch.cat(measured), torch.cat(predicted), torch.cat(tolerance)


def _kick(rng: np.random.Generator, x: Tensor) -> Tensor:
    direction = rng.normal(size=(x.shape[0], 1, x.shape[2]))
    return torch.as_tensor(direction / np.linalg.norm(direction, axis=-1, keepdims=True))


def _tight_quadratic(batch: PLBatch, sigma: Tensor, bound: Bound) -> Part:
    """Follow f = Lx²/2 exactly: E x² ← (1 − γL)²·E x² + γ²σ², T = 1, 2, 4, … and LONG."""
    smoothness, step, moment = batch.smoothness, batch.step, batch.start[:, 0, 0].square()
    initial = smoothness * moment / 2
    measured, predicted = [], []
    for t in range(1, LONG + 1):
        moment = (1 - step * smoothness).square() * moment + (step * sigma).square()
        if t & (t - 1) == 0 or t == LONG:
            measured.append(smoothness * moment / 2)
            predicted.append(bound(initial, t, smoothness, smoothness, step, sigma.square()))
    left, right = torch.cat(measured), torch.cat(predicted)
    # two forms of q, apart by some u, to the power T; 1 − q^T ≥ 1 − q and 2 − Lγ amplify it
    amplified = 1 / (step * smoothness * (2 - step * smoothness)).repeat(len(measured))
    size = left + right + initial.repeat(len(measured))
    return left, right, rounding(size, 16 * LONG) * amplified


STATEMENT = Statement(
    id="T42",
    title="Under gradient noise the gap falls geometrically to a floor that the step size sets",
    kind="bound",
    formula="E δ_T ≤ q^T δ_0 + (1 − q^T) Lγσ²/(2μ(2 − Lγ)), q = 1 − μγ(2 − Lγ)",
    latex=r"\mathbb{E}\,\delta_T \le q^T\delta_0 + (1-q^T)\,"
    r"\frac{L\gamma\sigma^2}{2\mu(2-L\gamma)},\qquad q=1-\mu\gamma(2-L\gamma)",
    assumptions=(
        "f L-smooth and μ-PL",
        "noise of mean 0 given the past and E|noise|² ≤ σ²",
        "0 < γ < 2/L",
    ),
    source="known (stochastic gradient under PL: Karimi, Nutini & Schmidt 2016); the constant for"
    " every γ is ours",
    needs=PLBatch,
    sides=sides,
    control=NegativeControl("the floor γLσ²/(4μ) of infinitely small steps", small_step_sides),
    nearer=(one_percent_less(sides, "the whole bound"),),
    ensemble=Ensemble(draw_problems, 512),
    not_applicable=NO_PL_POLICY,
    explanation="A training run sees its gradient through a batch of samples; σ² is the variance of"
    " that noise. The gap δ to the best objective then shrinks by q per step only until it reaches"
    " a floor proportional to the step size γ. A run that has stalled on the floor improves by a"
    " smaller learning rate or a larger batch, not by more steps. The constant is exact: a"
    " quadratic bowl attains it.",
)

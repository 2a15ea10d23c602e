"""T43: weights that move while one ascends cost the gap no more than the path they travel.

δ_{t+1} ≤ q_t δ_t + (λ_{t+1} − λ_t)·(J(θ*_{t+1}) − J(θ_{t+1})) ≤ q_t δ_t + |λ_{t+1} − λ_t|_1·G.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.pl_rates import drift_bound, improved_rate
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.convergence._drifting_problems import (
    Ascent,
    DriftBatch,
    ascend,
    draw_drifting,
    exact_drifts,
    path_drifts,
)
from covlaw.theory.statements.convergence._pl_problems import NO_PL_POLICY


def sides(batch: DriftBatch, _: np.random.Generator) -> Sides:
    """δ_1 … δ_T against one step's bound, the unrolled bound, and the one by path length."""
    run = ascend(batch)
    rates, drifts, lengths = _rates(run), exact_drifts(batch, run), path_drifts(batch, run)
    bounds = [
        rates * run.gap[:, :-1] + drifts,
        drift_bound(run.gap[:, 0], rates, drifts),
        drift_bound(run.gap[:, 0], rates, lengths),
    ]
    return _compare(batch, run, bounds)


def frozen_sides(batch: DriftBatch, _: np.random.Generator) -> Sides:
    """The false variant: the bound for fixed weights, q^T·δ_0."""
    run = ascend(batch)
    rates = _rates(run)
    return _compare(batch, run, [drift_bound(run.gap[:, 0], rates, torch.zeros_like(rates))])


def half_path_sides(batch: DriftBatch, _: np.random.Generator) -> Sides:
    """The false variant: half of what the weights' moves cost."""
    run = ascend(batch)
    drifts = exact_drifts(batch, run) / 2
    return _compare(batch, run, [_rates(run) * run.gap[:, :-1] + drifts])


def _rates(run: Ascent) -> Tensor:
    return improved_rate(run.mu[:, :-1], run.smoothness[:, :-1], run.step)


def _compare(batch: DriftBatch, run: Ascent, bounds: list[Tensor]) -> Sides:
    # every value is a form H(λ) in offsets no longer than `reach`; H(λ) has condition ≤ 5, so that
    # solving for θ* errs by some hundred roundings; what earlier steps erred is added up
    reach = run.theta.norm(dim=-1) + run.optima.norm(dim=-1)
    reach = reach + batch.peak.norm(dim=-1).amax(1)[:, None]
    size = (run.smoothness * reach.square())[:, 1:].cumsum(1)
    heaviest = batch.weights.sum(-1).amax(1, keepdim=True) / batch.weights.sum(-1).amin(1)[:, None]
    error = rounding(size * heaviest, 2000) + rounding(run.gap[:, :1], 2000)
    flat = [(run.gap[:, 1:].flatten(), b.flatten(), error.flatten()) for b in bounds]
    return joined(flat)


STATEMENT = Statement(
    id="T43",
    title="Weights that move during ascent cost the gap no more than the path they travel",
    kind="bound",
    formula="δ_{t+1} ≤ q_t δ_t + (λ_{t+1} − λ_t)·(J(θ*_{t+1}) − J(θ_{t+1}));"
    " δ_T ≤ (Π q) δ_0 + G Σ_t (Π_{s>t} q_s) |λ_{t+1} − λ_t|_1",
    latex=r"\delta_{t+1}\le q_t\delta_t+(\lambda_{t+1}-\lambda_t)\cdot"
    r"\bigl(J(\theta^*_{t+1})-J(\theta_{t+1})\bigr)\le q_t\delta_t+|\Delta\lambda_t|_1\,G",
    assumptions=(
        "every λ_t·J is L_t-smooth and μ_t-PL, and 0 < γ ≤ 2/L_t",
        "q_t is a contraction factor for λ_t·J (T41)",
        "G = sup_t max_j |J_j(θ*_t) − J_j(θ_t)|; exact gradients",
    ),
    source="ours (one line from T41); path length of CTWA: T33",
    needs=DriftBatch,
    sides=sides,
    control=NegativeControl("the bound for fixed weights, q^T·δ_0", frozen_sides),
    nearer=(NegativeControl("half the cost of each move", half_path_sides),),
    ensemble=Ensemble(draw_drifting, 512),
    not_applicable=NO_PL_POLICY,
    explanation="An adaptive scalarizer changes the weights λ_t of the objectives while the policy"
    " is trained, so the target itself moves. The gap δ_t to the best policy for the current"
    " weights still shrinks geometrically, plus at most the distance the weights travel times a"
    " constant G. Hence a method whose weights settle down converges; CTWA's weights only ever"
    " rise and, where its targets are feasible, their whole path has bounded length.",
)

"""E7: the reference implementation of PAMA follows the ratio to the reference, not the rewards."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.random_instances import nearby
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.statements.scalarization._short_response_drift import drift_part
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """First-order change at the reference policy and away from it, and the drift in length.

    Of each J_j, and of E log(π/π_ref), whose derivative is that of KL(π ‖ π_ref).
    """
    at = _follow(world, torch.zeros_like(world.log_prob_at()), 0.2)
    clip, log_ratio = float(rng.uniform(0.05, 0.5)), _log_ratio(world, rng)
    away = _follow(world, log_ratio, clip)
    ratio = log_ratio.exp()
    kept = torch.where(ratio <= 1 + clip, ratio, 0.0)
    claimed = _least_mean_gain(world) * _covariance(world, _columns(world, log_ratio), kept)
    parts = [(at[0], torch.zeros_like(at[0]), at[1]), (away[0], claimed, away[1])]
    return joined([*parts, drift_part(rng)])


def reward_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: it moves the objectives as the published form does."""
    log_ratio = _log_ratio(world, rng)
    measured, error = _follow(world, log_ratio, 0.2)
    scalarizer = make_scalarizer("pama", world.names)
    score = scalarizer.signal(scalarizer.init(), frozen_batch(world))[1].score
    return Sides(measured, _covariance(world, _columns(world, log_ratio), score), error)


def unclipped_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the whole ratio, s*·Cov(r_j, ρ)."""
    log_ratio = _log_ratio(world, rng)
    measured, error = _follow(world, log_ratio, 0.2)
    law = _covariance(world, _columns(world, log_ratio), log_ratio.exp())
    return Sides(measured, _least_mean_gain(world) * law, error)


def _follow(world: World, log_ratio: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Derivatives along the tilt by the scalarizer's advantage, a completion being one token."""
    scalarizer = make_scalarizer("pama", world.names, clip_high=clip, reference=True)
    token = torch.ones_like(log_ratio, dtype=torch.bool)[:, None]
    batch = frozen_batch(world)._replace(log_ratio_to_reference=log_ratio[:, None], mask=token)
    score = scalarizer.signal(scalarizer.init(), batch)[1].score
    columns = _columns(world, log_ratio)
    # W = s*·ρ·1 ≤ 1.5/2; s* rounds on the scale of r over its std
    spread = _spreads(world)
    relative = torch.where(spread > 0, world.rewards.abs().amax(0) / spread, 0.0)
    size = 4 * (1 + relative.max())
    return tilted_derivative(world, columns, score, 0.0), covariance_rounding(
        world, columns, size[None]
    )


def _columns(world: World, log_ratio: Tensor) -> Tensor:
    return torch.cat([world.rewards, log_ratio[:, None]], 1)


def _log_ratio(world: World, rng: np.random.Generator) -> Tensor:
    """log(π/π_ref) to a reference policy near by."""
    return world.log_prob_at() - world.log_prob_at(nearby(world, rng, float(rng.uniform(0.05, 1))))


def _least_mean_gain(world: World) -> Tensor:
    """s* = min_i E A_i⁺, A_i = (r_i − mean)/std over all completions; 0 where one is constant."""
    weight, gains = world.row_weight(), []
    for reward, spread in zip(world.rewards.T, _spreads(world), strict=True):
        gain = (reward - weight @ reward).clamp(min=0.0)
        gains.append(weight @ gain / spread if spread > 0 else torch.zeros_like(spread))
    return torch.stack(gains).min()


def _spreads(world: World) -> Tensor:
    """Std of each objective over all completions, 0 where it is rounding: (M,)."""
    weight = world.row_weight()
    second = weight @ (world.rewards - weight @ world.rewards).square()
    noise = rounding(world.rewards.abs().amax(0), 4 * len(world.rewards))
    return torch.where(second.sqrt() > noise, second.sqrt(), 0.0)


def _covariance(world: World, columns: Tensor, signal: Tensor) -> Tensor:
    mass = world.log_prob_at().exp()
    return within_prompt_covariance(columns, signal, world.prompt, mass, world.prompt_mass).estimate


STATEMENT = Statement(
    id="E7",
    title="PAMA's reference form drifts away from the reference policy, whatever the rewards",
    explanation="The reference implementation of PAMA multiplies every token by one number s* ≥ 0"
    " times the ratio of the policy to the reference policy. At the reference policy the expected"
    " change of every objective is zero. Away from it objective j moves as s*·Cov(r_j, ρ), which"
    " pushes the policy further from the reference until the clip stops it; and with token-mean"
    " aggregation short responses gain at the expense of long ones. No completion's own reward"
    " enters.",
    kind="identity",
    formula="dJ_j = s*·Cov(r_j, ρ·1[ρ ≤ 1+ε]); 0 at π = π_ref; dKL(π‖π_ref) = s*·Cov(log ρ, ρ·1);"
    " token mean, lengths L₁, L₂: s*·B·p(1−p)·E[1/(S+L₁) − 1/(S+L₂)]",
    latex=r"dJ_j=s^*\,\mathrm{Cov}(r_j,\rho\,\mathbb{1}[\rho\le1+\epsilon]),\qquad "
    r"s^*Bp(1-p)\,\mathbb{E}\Bigl[\tfrac1{S+L_1}-\tfrac1{S+L_2}\Bigr]",
    assumptions=(
        "first order, along the tilt; a completion as one token",
        "s* the least mean of A_i⁺, A_i whitened over the batch",
        "drift: two responses, probability p and 1−p, at the reference policy, S the length of the"
        " batch's B−1 others",
    ),
    source="ours, of the reference implementation of PAMA (He & Maghsudi 2025, arXiv 2508.07768)",
    needs=World,
    sides=sides,
    control=NegativeControl("the published form's covariance, min_i A_i⁺", reward_sides),
    nearer=(NegativeControl("the whole ratio, clipped nowhere", unclipped_sides),),
    ensemble=Ensemble(conflict_worlds, 150),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

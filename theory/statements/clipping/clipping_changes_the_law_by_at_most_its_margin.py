"""T27: three bounds on what clipping does to the law, and the sign certificate they give."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.margin import ClipMargin, clip_margin
from covlaw.theory.statements._support.rollout_rounding import weighted_rounding
from covlaw.theory.statements.base import NegativeControl, Sides, SidesOf, Statement, joined
from covlaw.theory.worlds.updates import InnerStep

LONGEST = 4
"""Tokens of a completion at token level."""


class Level(NamedTuple):
    """Bounds at sequence or token level."""

    margin: ClipMargin
    full: Tensor
    """(N,) ρA, at token level its mean over the completion."""


def sides(step: InnerStep, rng: np.random.Generator) -> Sides:
    """|Cov_old(r, ρA) − Cov_old(r, W)| of each prompt against each bound; certified signs."""
    levels = [_sequence_level(step), _token_level(step, rng)]
    parts = [part for at in levels for part in (_bounds(step, at, 1.0), _certified_signs(step, at))]
    return joined([part[:3] for part in parts])


def halved(step: InnerStep, _: np.random.Generator) -> Sides:
    """Half of each bound."""
    return _bounds(step, _sequence_level(step), 0.5)


def smaller(which: int) -> SidesOf:
    """One of the three bounds a tenth smaller."""

    def variant(step: InnerStep, _: np.random.Generator) -> Sides:
        three = _bounds(step, _sequence_level(step), 0.9)
        measured, predicted, tolerance = (side.chunk(3)[which] for side in three[:3])
        return Sides(measured, predicted, tolerance)

    return variant


def _sequence_level(step: InnerStep) -> Level:
    margin = clip_margin(
        step.rollouts.rewards, step.advantage, step.log_ratio, step.clip, *step.rollouts.groups
    )
    return Level(margin, step.log_ratio.exp() * step.advantage)


def _token_level(step: InnerStep, rng: np.random.Generator) -> Level:
    """The completion's log-ratio spread over tokens, some of which move against it."""
    shape = (len(step.log_ratio), LONGEST)
    mask = torch.arange(LONGEST) < torch.as_tensor(rng.integers(1, LONGEST + 1, (shape[0], 1)))
    noise = mask * torch.as_tensor(rng.normal(scale=0.3, size=shape))
    tokens = step.log_ratio[:, None] / mask.sum(1, keepdim=True) + noise
    margin = clip_margin(
        step.rollouts.rewards, step.advantage, tokens, step.clip, *step.rollouts.groups, mask
    )
    return Level(margin, step.advantage * (mask * tokens.exp()).sum(1) / mask.sum(1))


def _bounds(step: InnerStep, at: Level, factor: float) -> Sides:
    margin = at.margin
    measured = (margin.unclipped.per_prompt - margin.clipped.per_prompt).abs().reshape(-1)
    bounds = [factor * b.reshape(-1) for b in (margin.deviation, margin.spread, margin.local)]
    tolerance = _tolerance(step, at.full).reshape(-1)
    return Sides(measured.repeat(3), torch.cat(bounds), tolerance.repeat(3))


def _certified_signs(step: InnerStep, at: Level) -> Sides:
    """As a bound: the clipped law on the wrong side of 0 measures more than 0."""
    margin = at.margin
    wrong = -margin.clipped.estimate * margin.unclipped.estimate.sign()
    tolerance = weighted_rounding(step.rollouts, at.full)
    wrong, tolerance = wrong[margin.certified], tolerance[margin.certified]
    return Sides(wrong, torch.zeros_like(wrong), tolerance)


def _tolerance(step: InnerStep, full: Tensor) -> Tensor:
    """Rounding of both sides (P, M): 2·max|r|·√E[(ρA)²], which exceeds each bound's terms."""
    groups = group_by_prompt(step.rollouts.prompt)
    counts = groups.counts.to(torch.float64)
    mass = step.rollouts.mass
    share = groups.spread(1 / counts) if mass is None else mass
    size = groups.sum(share * full.square()).sqrt()
    values = step.rollouts.rewards.abs().amax(0)
    return rounding(2 * size[:, None] * values, 4 * full.shape[0] + 32)


STATEMENT = Statement(
    id="T27",
    title="Clipping changes the law by at most its margin; a bigger law keeps its sign",
    kind="bound",
    explanation="W is what clipping leaves of ρ·A, the ratio times the advantage; Y is what it "
    "removes. Cov_old(r_j, W) can differ from the unclipped covariance by no more than each of "
    "three bounds, which need only the rollouts. If the unclipped covariance exceeds the "
    "smallest, clipping cannot have turned its sign, and the objective may be reported as moving "
    "that way.",
    formula="|Cov_old(r, ρA) − Cov_old(r, W)| ≤ min{sd(r)sd(Y), (R/2)E|Y−EY|, "
    "√(E[(r−Er)²1_clip]E[Y²])}, Y = ρA·1_clip",
    latex=r"|\mathrm{Cov}(r,\rho A)-\mathrm{Cov}(r,W)|\le\min\{\mathrm{sd}(r)\,\mathrm{sd}(Y),"
    r"\tfrac R2\mathbb{E}|Y-\mathbb{E}Y|,"
    r"\sqrt{\mathbb{E}[(r-\mathbb{E}r)^2\mathbf 1_{\mathrm{clip}}]\,\mathbb{E}[Y^2]}\}",
    assumptions=(
        "sequence level, or token level with ρA and W averaged over a completion's tokens",
        "prompt by prompt; on samples, for the empirical distribution of each group",
        "a sign is certified where the law exceeds the prompts' mean bound",
    ),
    source="ours",
    needs=InnerStep,
    sides=sides,
    control=NegativeControl("each bound halved", halved),
    nearer=(
        NegativeControl("sd(r)·sd(Y) a tenth smaller", smaller(0)),
        NegativeControl("(R/2)·E|Y − EY| a tenth smaller", smaller(1)),
        NegativeControl("the clipped completions' bound a tenth smaller", smaller(2)),
    ),
)

"""T27: three bounds on what clipping does to the law, and the sign certificate they give."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.groups import group_by_prompt
from covlaw.theory.margin import ClipMargin, clip_margin
from covlaw.theory.rounding import rounding
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.support.rollout_rounding import weighted_rounding
from covlaw.theory.updates import InnerStep


def sides(step: InnerStep, _: np.random.Generator) -> Sides:
    """|Cov_old(r, ρA) − Cov_old(r, W)| of each prompt against each bound; certified signs."""
    margin = _margin(step)
    bounds, signs = _bounds(step, margin, 1.0), _certified_signs(step, margin)
    return joined([bounds[:3], signs[:3]])


def halved(step: InnerStep, _: np.random.Generator) -> Sides:
    """Half of each bound."""
    return _bounds(step, _margin(step), 0.5)


def _margin(step: InnerStep) -> ClipMargin:
    return clip_margin(
        step.rollouts.rewards, step.advantage, step.log_ratio, step.clip, *step.rollouts.groups
    )


def _bounds(step: InnerStep, margin: ClipMargin, factor: float) -> Sides:
    measured = (margin.unclipped.per_prompt - margin.clipped.per_prompt).abs().reshape(-1)
    bounds = [factor * b.reshape(-1) for b in (margin.deviation, margin.spread, margin.local)]
    tolerance = _tolerance(step).reshape(-1)
    return Sides(measured.repeat(3), torch.cat(bounds), tolerance.repeat(3))


def _certified_signs(step: InnerStep, margin: ClipMargin) -> Sides:
    """As a bound: the clipped law on the wrong side of 0 measures more than 0."""
    full = step.log_ratio.exp() * step.advantage
    wrong = -margin.clipped.estimate * margin.unclipped.estimate.sign()
    tolerance = weighted_rounding(step.rollouts, full)
    wrong, tolerance = wrong[margin.certified], tolerance[margin.certified]
    return Sides(wrong, torch.zeros_like(wrong), tolerance)


def _tolerance(step: InnerStep) -> Tensor:
    """Rounding of both sides (P, M): 2·max|r|·√E[(ρA)²], which exceeds each bound's terms."""
    groups = group_by_prompt(step.rollouts.prompt)
    counts = groups.counts.to(torch.float64)
    mass = step.rollouts.mass
    share = groups.spread(1 / counts) if mass is None else mass
    full = step.log_ratio.exp() * step.advantage
    size = groups.sum(share * full.square()).sqrt()
    values = step.rollouts.rewards.abs().amax(0)
    return rounding(2 * size[:, None] * values, 4 * full.shape[0] + 32)


STATEMENT = Statement(
    id="T27",
    title="Clipping changes the law by at most its margin; a bigger law keeps its sign",
    kind="bound",
    formula="|Cov_old(r, ρA) − Cov_old(r, W)| ≤ min{sd(r)sd(Y), (R/2)E|Y−EY|, "
    "√(E[(r−Er)²1_clip]E[Y²])}, Y = ρA·1_clip",
    latex=r"|\mathrm{Cov}(r,\rho A)-\mathrm{Cov}(r,W)|\le\min\{\mathrm{sd}(r)\,\mathrm{sd}(Y),"
    r"\tfrac R2\mathbb{E}|Y-\mathbb{E}Y|,"
    r"\sqrt{\mathbb{E}[(r-\mathbb{E}r)^2\mathbf 1_{\mathrm{clip}}]\,\mathbb{E}[Y^2]}\}",
    assumptions=(
        "prompt by prompt; on samples, for the empirical distribution of each group",
        "a sign is certified where the law exceeds the prompts' mean bound",
    ),
    source="ours",
    needs=InnerStep,
    sides=sides,
    control=NegativeControl("each bound halved", halved),
)

"""T26: the first inner step is never clipped, and no tilt within the no-clip radius is."""

import math

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.clipped_law import no_clip_radius
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.updates import InnerStep

ANY_STRENGTH = 1.0
"""Tilt of log-ratios up to this size where clipping is off and every radius is inside."""

LONGEST = 4
"""Tokens of a completion in the token-level cases."""
NO_CLIP: Clip = (1.0, math.inf, None)


def sides(step: InnerStep, rng: np.random.Generator) -> Sides:
    """Covariances with W and with ρA, at ρ ≡ 1 and up to the radius, also token by token."""
    return _compare(step, no_clip_radius(*step.clip), rng)


def larger_radius(step: InnerStep, rng: np.random.Generator) -> Sides:
    """The larger of log(1 + ε_high) and −log(1 − ε_low)."""
    low, high, _ = step.clip
    return _compare(step, max(no_clip_radius(low, math.inf), no_clip_radius(1.0, high)), rng)


def tilt_to(step: InnerStep, radius: float) -> Tensor:
    """Log ρ (N,) of the tilt along A that goes to η·range(A) = radius in every prompt."""
    groups = group_by_prompt(step.rollouts.prompt)
    extent = groups.span(step.advantage)
    radius = min(radius, ANY_STRENGTH) if math.isinf(radius) else radius
    inside = radius - rounding(1 + radius, 16)  # the computed log ρ must not round outwards
    moves = (extent > 0) & (inside > 0)
    eta = torch.where(moves, inside / torch.where(moves, extent, 1.0), 0.0)
    empirical = groups.spread(1 / groups.counts.to(torch.float64))
    mass = empirical if step.rollouts.mass is None else step.rollouts.mass
    log_ratio = tilt_log_ratio(groups.spread(eta) * step.advantage, 1.0, step.rollouts.prompt, mass)
    return torch.where(groups.spread(moves), log_ratio, 0.0)


def _compare(step: InnerStep, radius: float, rng: np.random.Generator) -> Sides:
    standstill, (tokens, mask) = torch.zeros_like(step.advantage), _tokens(step, radius, rng)
    cases: list[tuple[Tensor, Tensor | None, Clip]] = [
        (standstill, None, _any_clip(rng)),
        (torch.zeros_like(tokens), mask, _any_clip(rng)),
        (tilt_to(step, radius), None, step.clip),
        (tokens, mask, step.clip),
    ]
    clipped = [effective_weight(step.advantage, rho, m, *clip) for rho, m, clip in cases]
    free = [effective_weight(step.advantage, rho, m, *NO_CLIP) for rho, m, _ in cases]
    measured, predicted = (
        torch.cat([_covariance(step, signal) for signal in signals]) for signals in (clipped, free)
    )
    # W is A or ρA itself where nothing is clipped: both sides round alike, so no tolerance.
    return Sides(measured, predicted, torch.zeros_like(measured))


def _tokens(step: InnerStep, radius: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw token log-ratios within ±radius and the mask of completions of any lengths, (N, T)."""
    radius = min(radius, ANY_STRENGTH) if math.isinf(radius) else radius
    inside = max(0.0, float(radius - rounding(1 + radius, 16)))
    shape = (len(step.advantage), LONGEST)
    length = torch.as_tensor(rng.integers(1, LONGEST + 1, size=(shape[0], 1)))
    return torch.as_tensor(rng.uniform(-inside, inside, size=shape)), torch.arange(LONGEST) < length


def _covariance(step: InnerStep, signal: Tensor) -> Tensor:
    return within_prompt_covariance(step.rollouts.rewards, signal, *step.rollouts.groups).estimate


def _any_clip(rng: np.random.Generator) -> Clip:
    low, high = rng.uniform(0, 1, size=2) * rng.integers(2)  # half of the time a range of 0
    return float(low), float(high), float(rng.uniform(1, 3)) + 1e-3


STATEMENT = Statement(
    id="T26",
    title="The first inner step is never clipped, nor is a tilt within the no-clip radius",
    kind="identity",
    explanation="In the first inner step after sampling the ratio ρ is 1 everywhere, so nothing "
    "is clipped and the law needs no correction, for any clip range. Later on, as long as the "
    "policy has been tilted so little that no log-ratio can exceed the no-clip radius (0.18 for "
    "ranges of 0.2), clipping still does nothing. Measure how far the log-ratios spread before "
    "blaming clipping.",
    formula="ρ ≡ 1 ⇒ W = A; η·range(a) ≤ min{log(1+ε_high), −log(1−ε_low), log c} ⇒ W = ρA",
    latex=r"\rho\equiv1\Rightarrow W=A;\quad \eta\,\mathrm{range}(a)\le\min\{\log(1+\varepsilon_+),"
    r"-\log(1-\varepsilon_-),\log c\}\Rightarrow W=\rho A",
    assumptions=(
        "π_θ is π_old tilted by η·a in total",
        "token level: no token's |log ρ_t| exceeds the radius; W is the mean over tokens",
    ),
    source="ours",
    needs=InnerStep,
    sides=sides,
    control=NegativeControl("the larger of the two clip ranges as radius", larger_radius),
)

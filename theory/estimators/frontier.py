"""Where weights lead: expected rewards along the tilt of a policy, from its own samples (T56, T57).

Natural-gradient steps along linear signals tilt the policy, and tilts compose: whatever the order
and however the weights adapted, the end is π_Λ ∝ π e^{Λ·r} with Λ = Σ_t η_t λ_t, the policy of
most Λ·J for its KL from π.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.weighting import Grouping, Weighting, weighting
from covlaw.theory.estimators.prompt_covariances import checked_rewards

FEWEST = 4.0
"""Effective completions a prompt, in the median, below which samples no longer show a tilt."""


class Frontier(NamedTuple):
    """Expected rewards as the policy is tilted along fixed weights."""

    values: Tensor
    """(S, M) E_x E_{π_Λ} r_j at Λ = strength·weights; NaN where the samples have ended."""
    standard_error: Tensor
    """(S, M) clustered by prompt; 0 where the probabilities are exact."""
    kl: Tensor
    """(S,) E_x KL(π_Λ ‖ π) in nats; NaN where the samples have ended."""
    effective: Tensor
    """(S, P) effective completions of each prompt, (Σw)²/Σw²; inf where probabilities are exact."""


class Tilted(NamedTuple):
    """One tilt, prompt by prompt."""

    means: Tensor
    """(P, M) E[r_j | x] under π_Λ."""
    kl: Tensor
    """(P,)."""
    effective: Tensor
    """(P,)."""


def frontier(
    rewards: Numbers,
    prompt: PromptIds,
    weights: Numbers,
    strengths: Numbers,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Frontier:
    """E[r_j] under π_Λ ∝ π e^{Λ·r}, Λ = strength·weights, by self-normalised weights (T56, T57).

    Without `mass` the completions are samples of π: the values are then biased by O(1/K), and a
    strength at which the median prompt has fewer than `FEWEST` effective completions, or that lies
    beyond such a one, gives NaN.

    Args:
        rewards: (N, M).
        prompt: (N,) prompt ids, integers or labels of any kind.
        weights: (M,) λ, finite.
        strengths: (S,) in units of 1/(λ·r), ≥ 0; 0 is the policy itself.
        mass: (N,) completion probabilities within the prompt, or None for i.i.d. samples.
        prompt_mass: (P,) prompt probabilities by ascending id, or None for uniform.

    Raises:
        CovlawError: on weights or strengths of the wrong shape, not finite or negative strengths,
            and as `within_prompt_covariance`.
    """
    prepared = weighting(Grouping(prompt, mass, prompt_mass))
    values = checked_rewards(rewards, prepared)
    steps = checked_strengths(strengths)
    found = list(tilts(values, prepared, as_float64(weights, "weights", values.device), steps))
    rows = [prepared.average(tilt.means) for tilt in found]
    estimate, error = (torch.stack(column) for column in zip(*rows, strict=True))
    kl = torch.stack([prepared.prompt @ tilt.kl for tilt in found])
    effective = torch.stack([tilt.effective for tilt in found])
    over = ended(effective, steps)
    estimate, error = (torch.where(over[:, None], torch.nan, x) for x in (estimate, error))
    return Frontier(estimate, error, torch.where(over, torch.nan, kl), effective)


def tilts(
    rewards: Tensor, weights: Weighting, direction: Tensor, strengths: Tensor
) -> Iterator[Tilted]:
    """Tilt by each strength in turn; rewards (N, M) and direction (M,) float64.

    Raises:
        CovlawError: on a direction of the wrong shape or not finite.
    """
    if direction.shape != rewards.shape[1:] or not bool(torch.isfinite(direction).all()):
        raise CovlawError(
            f"weights {direction.tolist()} for {rewards.shape[1]} rewards: give one finite number "
            "a reward"
        )
    groups = weights.groups
    score = rewards @ direction
    live = torch.where(weights.row > 0, score, -torch.inf)
    top = torch.full_like(weights.prompt, -torch.inf)
    top = top.scatter_reduce(0, groups.position, live, "amax")
    gap = torch.where(weights.row > 0, score - groups.spread(top), 0.0)
    for strength in strengths:
        exponent = strength * gap
        tilted = weights.row * exponent.exp()
        total = groups.sum(tilted)
        share = tilted / groups.spread(total)
        kl = groups.sum(share * exponent) - total.log()
        exact = torch.full_like(total, torch.inf)
        effective = exact if weights.exact else 1 / groups.sum(share.square())
        yield Tilted(groups.sum(share[:, None] * rewards), kl.clamp(min=0.0), effective)


def change_along(
    rewards: Tensor, weights: Weighting, direction: Tensor, strengths: Tensor
) -> tuple[Tensor, Tensor]:
    """E r_j under π_Λ minus under π, (S, M), with the error of the paired difference by prompt."""
    start = weights.groups.sum(weights.row[:, None] * rewards)
    rows = [t.means - start for t in tilts(rewards, weights, direction, strengths)]
    pairs = [weights.average(row) for row in rows]
    change, error = (torch.stack(column) for column in zip(*pairs, strict=True))
    return change, error


def ended(effective: Tensor, strengths: Tensor) -> Tensor:
    """Strengths (S,) bool at or beyond one whose median prompt has too few effective (S, P)."""
    short = effective.median(1).values < FEWEST
    first = torch.where(short & (strengths > 0), strengths, torch.inf).min()
    return strengths >= first


def checked_strengths(strengths: Numbers) -> Tensor:
    """Return strengths (S,) float64.

    Raises:
        CovlawError: on another shape, and strengths that are negative or not finite.
    """
    steps = as_float64(strengths, "strengths")
    if steps.ndim != 1 or not len(steps) or not bool((torch.isfinite(steps) & (steps >= 0)).all()):
        raise CovlawError(
            f"strengths have shape {tuple(steps.shape)} or a negative or infinite entry: give (S,) "
            "numbers ≥ 0, e.g. torch.linspace(0, 5, 11)"
        )
    return steps

"""Headroom t*: by what factor std-normalised targets could grow, and who limits them (T35, T36).

Weights λ ≥ 0 with Cov(r_j, λ·r/sd_x(λ·r)) ≥ c_j exist iff no bundle μ ≥ 0 of objectives asks for
more than its mean within-prompt std: c·μ ≤ g(μ) = E_x sd_x(μ·r).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.mean_std_barrier import Programme
from covlaw.theory.solvers.mean_std_programme import factors, solve
from covlaw.theory.solvers.min_norm import min_norm_point


class Headroom(NamedTuple):
    """t* = min{g(μ): c·μ = 1, μ ≥ 0}, with a certified interval."""

    factor: Tensor
    """(...) t*, an attained value g(μ*): targets are too demanding where it is below 1."""
    lower: Tensor
    """(...) certified: t* ≥ lower whatever the accuracy of μ*."""
    bundle: Tensor
    """(..., M) μ*, c·μ* = 1: the most demanding bundle, and the weights that attain t*·c where
    every prompt's rank allows (`rank_condition`)."""


def headroom(covariances: PromptCovariances, targets: Tensor) -> Headroom:
    """Largest factor by which targets of GRPO-normalised covariances could grow (T36).

    Args:
        covariances: Of the rewards, prompt by prompt.
        targets: (..., M) c ≥ 0, not all 0, in units of reward.

    Raises:
        CovlawError: on targets that are negative, not finite, all 0 or of the wrong shape.
    """
    targets = _targets(covariances.matrices.shape, targets)
    zero = torch.zeros_like(targets)
    return least_mean_std(covariances, targets, zero)


def raw_headroom(within: Tensor, targets: Tensor) -> Headroom:
    """The raw analogue: least λ'Cλ on c·λ = 1; it gives Cλ* ≥ (λ*'Cλ*)·c (T36).

    Args:
        within: (..., M, M) C = E_x C_x.
        targets: (..., M) c > 0, in units of reward².

    Raises:
        CovlawError: on targets that are not finite and positive, and as `min_norm_point`.
    """
    targets = _targets(within.shape, targets)
    if not bool((targets > 0).all()):
        raise CovlawError("raw headroom needs targets > 0: leave objectives without target out")
    found = min_norm_point(within / (targets[..., :, None] * targets[..., None, :]))
    return Headroom(found.value, found.value, found.weights / targets)


def slack_rate(covariances: PromptCovariances, targets: Tensor) -> Headroom:
    """δ = min{g(μ) − c·μ: Σμ = 1, μ ≥ 0}: how fast infeasible weights are pulled back (T37)."""
    targets = _targets(covariances.matrices.shape, targets)
    return least_mean_std(covariances, torch.ones_like(targets), targets)


def most_demanding(found: Headroom, targets: Tensor, names: Sequence[str]) -> str:
    """Say in one sentence whether the targets fit, and which bundle limits them."""
    share = (found.bundle * targets).tolist()
    parts = [f"{s:.0%} {n}" for s, n in zip(share, names, strict=True) if s > 0.005]
    verdict = "reachable" if float(found.lower) > 1 else "too demanding"
    return (
        f"targets are {verdict}: they could grow by a factor {float(found.factor):.3g}; the bundle "
        f"with the least room takes its target from {', '.join(parts)}"
    )


def least_mean_std(covariances: PromptCovariances, a: Tensor, b: Tensor) -> Headroom:
    """Least of g(μ) − b·μ over a·μ = 1, μ ≥ 0, in units of each objective's own mean std."""
    scale = covariances.mean_deviations()
    dead = scale <= (covariances.prompt_mass[..., None] * covariances.noise).sum(-2)
    unit = torch.where(dead, 1.0, scale)
    # a reward that never varies: alone it is worth −b/a; beside others it only stands in the way
    programme, size = _programme(covariances, unit, dead, a, b)
    found = solve(programme)
    shape = scale.shape
    value, lower = ((v.reshape(shape[:-1])) / size for v in (found.upper, found.lower))
    bundle = found.point.reshape(shape) / unit / size[..., None]
    bundle = torch.where(dead, 0.0, bundle)
    alone = torch.where(dead & (a > 0), -b / torch.where(a > 0, a, 1.0), torch.inf)
    least, index = alone.min(-1)
    none = ~((a > 0) & ~dead).any(-1)
    better = none | (least < value)
    vertex = torch.nn.functional.one_hot(index, shape[-1]) / torch.where(a > 0, a, 1.0)
    return Headroom(
        torch.where(better, least, value),
        torch.where(none, least, torch.minimum(lower, least)),
        torch.where(better[..., None], vertex, bundle),
    )


def _programme(
    covariances: PromptCovariances, unit: Tensor, dead: Tensor, a: Tensor, b: Tensor
) -> tuple[Programme, Tensor]:
    matrices = covariances.matrices / (unit[..., None, :, None] * unit[..., None, None, :])
    idle = torch.diag_embed(dead.to(matrices))[..., None, :, :]
    weighted = covariances.prompt_mass[..., None, None].square() * matrices
    alive = (~dead).to(a)
    scaled_a, scaled_b = a / unit * alive, b / unit * alive
    size = scaled_a.amax(-1)
    size = torch.where(size > 0, size, 1.0)
    scaled_a = scaled_a / size[..., None] + (scaled_a.sum(-1, keepdim=True) <= 0).to(a)
    count, prompts = a.shape[-1], matrices.shape[-3]
    flat = (weighted + idle).reshape(-1, prompts, count, count)
    return Programme(factors(flat), scaled_a.reshape(-1, count), scaled_b.reshape(-1, count)), size


def _targets(shape: torch.Size, targets: Tensor) -> Tensor:
    targets = torch.as_tensor(targets, dtype=torch.float64)
    if targets.shape[-1:] != shape[-1:]:
        raise CovlawError(
            f"targets have shape {tuple(targets.shape)} for {shape[-1]} objectives: give one each"
        )
    bad = ~torch.isfinite(targets) | (targets < 0)
    if bool(bad.any()) or not bool((targets > 0).any(-1).all()):
        raise CovlawError("targets must be finite and ≥ 0, at least one > 0: mend them")
    return targets

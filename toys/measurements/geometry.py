"""How model geometry bends the law: score-kernel spectra of small causal LMs (T13)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.gradient_angle import (
    disagreement_by_spectrum,
    disagreement_probability,
    score_threshold,
)
from covlaw.theory.geometry.kernel_spectrum import (
    KernelSpectrum,
    score_kernel_spectrum,
    sign_threshold,
)
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.worlds import transformer_world

ARCHITECTURES = ("qwen2", "llama", "gpt2")
WIDTHS = (8, 16)
PROMPTS = ((0, 1), (2, 1))
QUANTILES = 33
"""Evenly spaced, of a spectrum in the record."""
SCORES, REWARDS = 40, 100
"""Random scores a model, and random rewards a score."""


class Shares(NamedTuple):
    """Of all pairs (r, s), in [0, 1]."""

    disagree: float
    """⟨g_r, g_s⟩ and Cov(r, s) have opposite signs."""
    predicted: float
    """The same for rewards that are tables, by the angle between the score and its field."""
    certified: float
    """|corr(r, s)| exceeds (κ − 1)/(κ + 1)."""
    certified_by_score: float
    """|corr(r, s)| exceeds sin φ, the threshold of that score alone."""
    certified_wrong: float
    """Certified either way, and yet opposite: 0 if T13 holds."""


def measure(
    seed: int = 0,
    quick: bool = False,
    architectures: Sequence[str] = ARCHITECTURES,
    widths: Sequence[int] = WIDTHS,
) -> list[dict[str, Any]]:
    """Measure freshly initialised causal LMs of several architectures and widths.

    Three kinds of pairs: rewards and scores that are independent normal tables, one number a
    completion; that are independent normal in L²₀(π), one number a mode; and the three token
    objectives with random convex weightings of them.

    Args:
        seed: Weights and tables depend on it alone.
        quick: Completions of at most 3 tokens (40 a prompt) instead of 4 (121 a prompt).
        architectures: `model_type`s of `transformers`.
        widths: Hidden sizes.

    Returns:
        A record a model: `architecture`, `width`, `parameters`, `completions`, `k_min`, `k_max`,
        `kappa` (None if k_min is lost in rounding), `threshold`, `spectrum` (`QUANTILES` of the
        eigenvalues over k_max), `by_spectrum` (what the eigenvalues alone say of `modes`), and the
        `Shares` of each kind of pair under `tables`, `modes` and `objectives`. JSON-able.

    Raises:
        CovlawError: for an architecture that `transformers` does not know.
    """
    return [
        _record(ModelShape(4, width, 2, architecture=name), 3 if quick else 4, seed)
        for name in architectures
        for width in widths
    ]


def disagreement_shares(world: World, scores: Tensor, rewards: Tensor) -> Shares:
    """Compare the signs of plain gradients and covariances over all pairs.

    Args:
        world: Small enough for its (N, D) scores.
        scores: (N, S) training scores s.
        rewards: (N, R) rewards r.
    """
    weight, groups = world.row_weight()[:, None], group_by_prompt(world.prompt)
    s, r = (groups.centre(x, world.log_prob_at().exp()) for x in (scores, rewards))
    gradients = [world.scores().T @ (weight * x) for x in (r, s)]
    alignment, covariance = gradients[0].T @ gradients[1], (weight * r).T @ s
    sd_r, sd_s = ((weight * x.square()).sum(0).sqrt() for x in (r, s))
    correlation = (covariance / sd_r[:, None] / sd_s).abs()
    of_all = sign_threshold(score_kernel_spectrum(world))
    of_each = torch.stack([score_threshold(world, x) for x in scores.T])
    predicted = torch.stack([disagreement_probability(world, x) for x in scores.T])
    opposite, certified = alignment * covariance < 0, correlation > of_each
    columns = (opposite, predicted, correlation > of_all, certified, certified & opposite)
    return Shares(*(float(x.to(torch.float64).mean()) for x in columns))


def _record(shape: ModelShape, length: int, seed: int) -> dict[str, Any]:
    world = transformer_world(shape, length, torch.tensor(PROMPTS), seed).world
    rng, rows = np.random.default_rng([seed, 2]), len(world.prompt)
    tables = [torch.as_tensor(rng.normal(size=(rows, count))) for count in (SCORES, REWARDS)]
    weights = torch.as_tensor(rng.dirichlet(np.ones(world.rewards.shape[1]), size=SCORES))
    spectrum = score_kernel_spectrum(world)
    size = len(spectrum.eigenvalues)
    modes = [
        spectrum.modes @ torch.as_tensor(rng.normal(size=(size, n))) for n in (SCORES, REWARDS)
    ]
    return {
        "architecture": shape.architecture,
        "width": shape.hidden,
        "parameters": len(world.theta),
        "completions": rows,
        "k_min": float(spectrum.smallest),
        "k_max": float(spectrum.largest),
        "kappa": _kappa(spectrum, rows + len(world.theta)),
        "threshold": float(sign_threshold(spectrum)),
        "spectrum": _relative(spectrum),
        "by_spectrum": float(disagreement_by_spectrum(spectrum)),
        "tables": disagreement_shares(world, *tables)._asdict(),
        "modes": disagreement_shares(world, *modes)._asdict(),
        "objectives": disagreement_shares(
            world, world.rewards @ weights.T, world.rewards
        )._asdict(),
    }


def _relative(spectrum: KernelSpectrum) -> list[float]:
    """Quantiles of the eigenvalues, ascending, the largest 1."""
    share = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
    found = spectrum.eigenvalues.quantile(share) / spectrum.largest
    return [float(x) for x in found]


def _kappa(spectrum: KernelSpectrum, operations: int) -> float | None:
    """k_max/k_min where the smallest singular value, √k_min, is above its own rounding."""
    low, high = spectrum.smallest.sqrt(), spectrum.largest.sqrt()
    resolved = bool(low > rounding(high, operations))
    return float(spectrum.largest / spectrum.smallest) if resolved else None

"""How model geometry bends the law: score-kernel spectra of small causal LMs (T13)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.gradient_angle import (
    disagreement_by_spectrum,
)
from covlaw.theory.geometry.kernel_spectrum import (
    KernelSpectrum,
    score_kernel_spectrum,
    sign_threshold,
)
from covlaw.theory.worlds.world import World
from covlaw.toys.measurements.opposed_signs import disagreement_shares, family_share
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.worlds import transformer_world

ARCHITECTURES = ("qwen2", "llama", "gpt2")
WIDTHS = (8, 16)
PROMPTS = ((0, 1), (2, 1))
QUANTILES = 33
"""Evenly spaced, of a spectrum in the record."""
SCORES, REWARDS = 40, 100
"""Random scores a model, and random rewards a score."""
MIXTURES = 400
"""Scores and rewards a model that are mixtures of its few objectives."""


def measure(
    seed: int = 0,
    quick: bool = False,
    architectures: Sequence[str] = ARCHITECTURES,
    widths: Sequence[int] = WIDTHS,
) -> list[dict[str, Any]]:
    """Measure freshly initialised causal LMs of several architectures and widths.

    Four kinds of pairs: rewards and scores that are independent normal tables, one number a
    completion; that are independent normal in L²₀(π), one number a mode; that are normal mixtures
    of the three token objectives, each over its sd; and the objectives themselves with random
    convex weightings of them.

    Args:
        seed: Weights and tables depend on it alone.
        quick: Completions of at most 3 tokens (40 a prompt) instead of 4 (121 a prompt).
        architectures: `model_type`s of `transformers`.
        widths: Hidden sizes.

    Returns:
        A record a model: `architecture`, `width`, `parameters`, `completions`, `k_min`, `k_max`,
        `kappa` (None if k_min is lost in rounding), `threshold`, `spectrum` (`QUANTILES` of the
        eigenvalues over k_max), `by_spectrum` (what the eigenvalues alone say of `modes`), the
        `Shares` of each kind of pair under `tables`, `modes`, `mixtures` and `objectives`, and
        `by_family`: what covariance and Gramian of the family alone say of the first three.
        JSON-able.

    Raises:
        CovlawError: for an architecture that `transformers` does not know.
    """
    return [
        _record(ModelShape(4, width, 2, architecture=name), 3 if quick else 4, seed)
        for name in architectures
        for width in widths
    ]


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
    own = _standardised(world)
    mixtures = [own @ torch.as_tensor(rng.normal(size=(own.shape[1], MIXTURES))) for _ in range(2)]
    families = {
        "tables": torch.eye(rows, dtype=torch.float64),
        "modes": spectrum.modes,
        "mixtures": own,
    }
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
        "mixtures": disagreement_shares(world, *mixtures)._asdict(),
        "objectives": disagreement_shares(
            world, world.rewards @ weights.T, world.rewards
        )._asdict(),
        "by_family": {name: family_share(world, basis) for name, basis in families.items()},
    }


def _standardised(world: World) -> Tensor:
    """The world's rewards, each over its own sd within prompts: (N, M)."""
    centred = group_by_prompt(world.prompt).centre(world.rewards, world.log_prob_at().exp())
    return world.rewards / (world.row_weight() @ centred.square()).sqrt()


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

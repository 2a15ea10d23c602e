"""How fast a softmax policy reaches its best completions, by plain gradients and by tilts (T44)."""

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory.tilts.remainder import THIRD_CUMULANT

CURVATURE = 2 * THIRD_CUMULANT
"""√3/9: sup of |∇²J| of one prompt's softmax in units of the reward range R (T14); with several
prompts and one step for all, see `smoothness.tabular_smoothness`."""


def progress(reward_range: Tensor | float, step: Tensor | float) -> Tensor:
    """κ = γ(1 − Lγ/2), L = (√3/9)R: a step gains at least κ|∇J|²; at γ = 1/L, κ = 1/(2L) (T44)."""
    length = as_float64(step, "step")
    return length * (1 - CURVATURE * as_float64(reward_range, "reward_range") * length / 2)


def vanilla_gap_bound(
    reward_range: Tensor | float,
    least_best_mass: Tensor | float,
    steps: Tensor | float,
    step: Tensor | float | None = None,
) -> Tensor:
    """Bound J* − J_t by 1/(c²·t·κ) under plain gradient ascent; (2√3/9)·R/(c²t) at γ = 1/L (T44).

    One prompt, one free logit a completion; c = inf_t π_t(a*). From |∇J| ≥ π(a*)(J* − J) and L.

    Args:
        reward_range: R.
        least_best_mass: c, over the policies before each of the t steps.
        steps: t ≥ 1.
        step: γ < 2/L, or None for 1/L.
    """
    span = as_float64(reward_range, "reward_range")
    length = 1 / (CURVATURE * span) if step is None else as_float64(step, "step")
    mass = as_float64(least_best_mass, "least_best_mass")
    return 1 / (mass.square() * as_float64(steps, "steps") * progress(span, length))


def tilt_gap_bound(mass: Tensor, shortfall: Tensor, strength: Tensor | float) -> Tensor:
    """Bound J* − J_t by Σ_a π_0 Δ_a e^{−ηtΔ_a}/π_0(a*) after tilts of total strength ηt (T44).

    Geometric, since Δ_a is either 0 or at least the smallest positive shortfall.

    Args:
        mass: (..., n) π_0 within one prompt.
        shortfall: (..., n) Δ_a = r* − r_a ≥ 0, r* the best reward on the support.
        strength: ηt ≥ 0, broadcast to (...,).
    """
    decay = torch.exp(-as_float64(strength, "strength")[..., None] * shortfall)
    best = torch.where(shortfall == 0, mass, 0.0).sum(-1)
    return (mass * shortfall * decay).sum(-1) / best

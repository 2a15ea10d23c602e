"""How smooth expected rewards are in a softmax policy's parameters, and what steps that allows.

J_j is L-smooth if |∇²J_j| ≤ L everywhere; its second derivative along u is κ(r_j, φu, φu) (T14).
"""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.prompts import as_prompt_ids, by_prompt
from covlaw.theory._numerics.validation import as_prompt_mass
from covlaw.theory.tilts.remainder import THIRD_CUMULANT


def tabular_smoothness(values: Tensor, prompt: Tensor, prompt_mass: Tensor | None = None) -> Tensor:
    """L_j = (√3/9)·max_x D(x)·R_x of a softmax with one free logit a completion: (M,) (T14).

    Exact for two completions, and for more as their probabilities vary: no smaller constant will
    do. In units of reward / logit².

    Args:
        values: (N, M) or (N,) rewards.
        prompt: (N,) integer prompt ids.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on values that do not fit the prompts, and bad prompt masses.
    """
    span, share = _ranges(values, prompt, prompt_mass)
    return 2 * THIRD_CUMULANT * (share[:, None] * span).amax(0)


def log_linear_smoothness(
    values: Tensor, features: Tensor, prompt: Tensor, prompt_mass: Tensor | None = None
) -> Tensor:
    """L_j = (√3/18)·E_x[R_x·diam_x(Φ)²] of π_θ ∝ π_0 e^{φ·θ}: (M,) (T14).

    diam_x is the largest distance of two feature rows within a prompt. In units of reward / θ².

    Args:
        values: (N, M) or (N,) rewards.
        features: (N, D) φ; its distances are compared pair by pair, N² in all.
        prompt: (N,) integer prompt ids.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on values or features that do not fit the prompts, and bad prompt masses.
    """
    span, share = _ranges(values, prompt, prompt_mass)
    features, ids = as_float64(features, "features"), as_prompt_ids(prompt)
    if features.ndim != 2 or features.shape[0] != ids.shape[0]:
        raise CovlawError(
            f"features have shape {tuple(features.shape)} for {ids.shape[0]} completions: give "
            "(N, D), a row a completion"
        )
    exact = "donot_use_mm_for_euclid_dist"  # the other mode loses half of the digits
    distance = torch.cdist(features, features, compute_mode=exact)
    within = torch.where(ids[:, None] == ids, distance, 0.0).amax(1)
    groups = group_by_prompt(ids)
    diameter = torch.zeros(len(groups.counts), dtype=torch.float64)
    diameter = diameter.scatter_reduce(0, groups.position, within, "amax")
    return THIRD_CUMULANT * (share * diameter.square()) @ span


def step_limit(alignment: Tensor, gradient: Tensor, smoothness: Tensor) -> Tensor:
    """2·|⟨g_j, g_s⟩|/(L_j·|g_s|²): below it J_j moves as ⟨g_j, g_s⟩ says, (M,) (T14).

    sign(J_j(θ + η·g_s) − J_j(θ)) = sign⟨g_j, g_s⟩ for 0 < η < limit; inf where J_j or J_s is flat.

    Args:
        alignment: (M,) ⟨g_j, g_s⟩.
        gradient: (D,) g_s.
        smoothness: (M,) L_j.
    """
    bend = smoothness * gradient.square().sum()
    limit = 2 * alignment.abs() / torch.where(bend > 0, bend, 1.0)
    return torch.where(bend > 0, limit, math.inf)


def _ranges(values: Tensor, prompt: Tensor, prompt_mass: Tensor | None) -> tuple[Tensor, Tensor]:
    """R_x (P, M) and D(x) (P,)."""
    groups = by_prompt(prompt)
    columns = as_float64(values, "values")
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or columns.shape[0] != groups.position.shape[0]:
        raise CovlawError(
            f"values have shape {tuple(columns.shape)} for {groups.position.shape[0]} completions:"
            " give (N,) or (N, M)"
        )
    share = as_prompt_mass(prompt_mass, groups)
    uniform = torch.full_like(groups.counts, 1, dtype=torch.float64) / len(groups.counts)
    return groups.span(columns), uniform if share is None else share

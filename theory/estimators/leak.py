"""The term that a truncated policy adds to the covariance identity (T8)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping, weighting


class Leak(NamedTuple):
    """What π_new does where π_old cannot go; mean over prompts with its standard error."""

    mass: Tensor
    """Scalar: π_new's mass of completions that π_old gives probability 0."""
    mass_error: Tensor
    """Scalar, clustered by prompt."""
    term: Tensor
    """(M,) l·(E_new[r|leaked] − E_old r)."""
    term_error: Tensor
    """(M,)."""


def leak_term(
    rewards: Tensor,
    leaked: Tensor,
    prompt: Tensor,
    mean_before: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> Leak:
    """E_x[l_x (E_new[r_j | leaked] − E_old r_j)]: Δ_j = E_x Cov_old(r_j, ρ) + this term (T8).

    Top-k and top-p sampling give some completions probability 0; after an update others are cut,
    and what was cut may come in. The covariance with ρ on π_old's completions cannot see those.

    Args:
        rewards: (N, M) rewards of π_new's completions.
        leaked: (N,) bool, whether π_old gives the completion probability 0.
        prompt: (N,) integer prompt ids.
        mean_before: (P, M) E_old r_j of each prompt, by ascending id; for samples, of rows drawn
            apart from these.
        mass: (N,) probabilities under π_new, or None for its samples.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on mismatched shapes, and as `within_prompt_covariance` on the rows.
    """
    weights = weighting(Grouping(prompt, mass, prompt_mass))
    groups = weights.groups
    rewards, before = as_float64(rewards, "rewards"), as_float64(mean_before, "mean_before")
    rows, prompts = groups.position.shape[0], groups.prompts.shape[0]
    if rewards.shape[:1] != (rows,) or tuple(leaked.shape) != (rows,):
        raise CovlawError(
            f"rewards {tuple(rewards.shape)} and leaked {tuple(leaked.shape)} for {rows} "
            "completions: give (N, M) and (N,)"
        )
    if tuple(before.shape) != (prompts, *rewards.shape[1:]):
        raise CovlawError(
            f"mean_before has shape {tuple(before.shape)}: give one row a prompt, ({prompts}, M)"
        )
    out = weights.row * leaked.to(torch.float64)
    columns = torch.cat([torch.ones_like(out)[:, None], rewards - groups.spread(before)], 1)
    estimate, error = weights.average(groups.sum(out[:, None] * columns))
    return Leak(estimate[0], error[0], estimate[1:], error[1:])

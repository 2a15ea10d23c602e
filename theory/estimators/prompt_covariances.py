"""Each prompt's reward covariance matrix: all that targets, headroom and CTWA need (part C)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping, Weighting, weighting


class PromptCovariances(NamedTuple):
    """Second moments of M rewards, prompt by prompt; any leading batch axes."""

    matrices: Tensor
    """(..., P, M, M) C_x = Cov_x(r_j, r_k)."""
    prompt_mass: Tensor
    """(..., P) D(x), sums to 1."""
    means: Tensor
    """(..., P, M) E[r_j | x]."""
    noise: Tensor
    """(..., P, M) bound on the rounding error of a centred reward, hence of sd_x(r_j)."""

    def within(self) -> Tensor:
        """C = E_x C_x: (..., M, M)."""
        return (self.prompt_mass[..., None, None] * self.matrices).sum(-3)

    def between(self) -> Tensor:
        """B = Cov over prompts of the prompt means: (..., M, M)."""
        centred = self.means - (self.prompt_mass[..., None] * self.means).sum(-2, keepdim=True)
        return centred.mT @ (self.prompt_mass[..., None] * centred)

    def pooled(self) -> "PromptCovariances":
        """One "prompt" of covariance C: what the pooled within-prompt std sees; no means."""
        noise = (self.prompt_mass[..., None] * self.noise.square()).sum(-2, keepdim=True).sqrt()
        one = torch.ones_like(self.prompt_mass[..., :1])
        return PromptCovariances(
            self.within()[..., None, :, :], one, torch.zeros_like(noise), noise
        )

    def of(self, objectives: Tensor) -> "PromptCovariances":
        """Restrict to the objectives where the mask (M,) is true."""
        matrices = self.matrices[..., objectives, :][..., objectives]
        means, noise = self.means[..., objectives], self.noise[..., objectives]
        return PromptCovariances(matrices, self.prompt_mass, means, noise)

    def rows(self, index: Tensor) -> "PromptCovariances":
        """Select along the first batch axis."""
        return PromptCovariances(*(field[index] for field in self))

    def varying(self) -> Tensor:
        """Objectives whose mean within-prompt std exceeds its rounding: (..., M) bool."""
        return self.mean_deviations() > (self.prompt_mass[..., None] * self.noise).sum(-2)

    def deviations(self) -> Tensor:
        """sd_x(r_j): (..., P, M)."""
        return self.matrices.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()

    def mean_deviations(self) -> Tensor:
        """E_x sd_x(r_j): (..., M)."""
        return (self.prompt_mass[..., None] * self.deviations()).sum(-2)


def prompt_covariances(
    rewards: Numbers,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> PromptCovariances:
    """Covariance matrix and mean of the rewards of each prompt, by ascending prompt id.

    With `mass` under those probabilities; without it the unbiased (K−1) estimate.

    Args:
        rewards: (N, M).
        prompt: (N,) prompt ids, integers or labels.
        mass: (N,) completion probabilities within the prompt, or None for i.i.d. samples.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on mismatched shapes, entries that are not finite, masses that do not sum to
            1, and sampled prompts with a single completion.
    """
    weights = weighting(Grouping(prompt, mass, prompt_mass))
    values = checked_rewards(rewards, weights)
    centred = weights.groups.centre(values, weights.row)
    products = (weights.row[:, None] * centred)[:, :, None] * centred[:, None, :]
    matrices = weights.groups.sum(products) * weights.correction[:, None, None]
    means = weights.groups.sum(weights.row[:, None] * values)
    position = weights.groups.position[:, None].expand_as(values)
    largest = torch.zeros_like(means).scatter_reduce(0, position, values.abs(), "amax")
    noise = rounding(largest, int(weights.groups.counts.max()) + 8)
    return PromptCovariances(matrices, weights.prompt, means, noise)


def checked_rewards(rewards: Numbers, weights: Weighting) -> Tensor:
    """Return rewards (N, M) float64 for these rows.

    Raises:
        CovlawError: on another shape, and entries that are not finite.
    """
    values = as_float64(rewards, "rewards", weights.groups.position.device)
    rows = weights.groups.position.shape[0]
    if values.ndim != 2 or values.shape[0] != rows:
        raise CovlawError(
            f"rewards have shape {tuple(values.shape)} for {rows} completions: give (N, M)"
        )
    if not bool(torch.isfinite(values).all()):
        row = int((~torch.isfinite(values)).nonzero()[0][0])
        raise CovlawError(f"rewards are not finite at row {row}: drop or mend that completion")
    return values

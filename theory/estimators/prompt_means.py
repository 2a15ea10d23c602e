"""A mean over prompts with an error that does not fall for chance equalities."""

from typing import NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from covlaw.theory._numerics.weighting import Weighting, mean_and_error


class PromptMeans(NamedTuple):
    """Means within prompts of something known of every completion; any leading batch axes."""

    mean: Tensor
    """(..., P, M)."""
    square: Tensor
    """(..., P, M) mean of its square."""
    counts: Tensor
    """(P,) completions."""
    weight: Tensor
    """(P,) of the prompts, sums to 1."""

    @classmethod
    def of(cls, rows: Tensor, weights: Weighting) -> "PromptMeans":
        """From values (N, M) of every completion."""
        mean, square = (weights.groups.sum(weights.row[:, None] * x) for x in (rows, rows.square()))
        return cls(mean, square, weights.groups.counts.to(rows), weights.prompt)

    def batch(self, size: int) -> "PromptMeans":
        """Read `size` batches of as many prompts each, one after the other."""
        shape = (size, -1, self.mean.shape[-1])
        counts, weight = (x.reshape(size, -1)[0] for x in (self.counts, self.weight))
        return PromptMeans(
            self.mean.reshape(shape), self.square.reshape(shape), counts, weight * size
        )

    @property
    def rows(self) -> float:
        """Completions of the prompts that count."""
        return float(self.counts[self.weight > 0].sum())

    def estimate(self) -> Tensor:
        """(..., M) the mean over prompts."""
        return self.weight @ self.mean

    def error(self) -> Tensor:
        """(..., M) the larger of the error clustered by prompt and that of independent completions.

        Few prompts may agree by chance, and the first is then too small; where prompts differ in
        truth, the second is.
        """
        estimate, clustered = mean_and_error(self.mean, self.weight)
        centre = estimate[..., None, :]
        spread = (self.square - 2 * centre * self.mean + centre.square()).clamp(min=0)
        bessel = self.rows / (self.rows - 1)
        alone = (bessel * (self.weight.square() / self.counts) @ spread).sqrt()
        return torch.maximum(clustered, alone)

    def margin(self, tail: float) -> Tensor:
        """(..., M) Student's quantile at `tail` with prompts − 1 degrees, times the error.

        Infinite or NaN for too few prompts: where half of them gain what the other half lose, all
        P drawn are of one kind with probability 2^(1 − P), and agree; beyond 2·`tail` of that no
        margin is wide enough. Six prompts for 95 %, eight for 99 %.
        """
        freedom = int((self.weight > 0).sum()) - 1
        enough = 2.0**-freedom <= 2 * tail
        return (-float(stdtrit(freedom, tail)) if enough else float("inf")) * self.error()

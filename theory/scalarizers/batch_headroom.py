"""Headroom of a batch: how much every objective that varies in it can gain at once (T31, T36)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.headroom import Headroom, headroom, raw_headroom
from covlaw.theory.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.scalarizers.given import given_rewards
from covlaw.theory.scalarizers.protocol import Batch


class Room(NamedTuple):
    """What the objectives that vary could gain, in the proportion c."""

    factor: Tensor
    """() t*: gains of t*·c are the largest; 0 where nothing varies."""
    weights: Tensor
    """(M,) the weights that reach it, sum 1; 0 for an objective that does not vary."""


def _mean_std(covariances: PromptCovariances, targets: Tensor) -> Headroom:
    return headroom(covariances, targets)


def _pooled(covariances: PromptCovariances, targets: Tensor) -> Headroom:
    return headroom(covariances.pooled(), targets)


def _raw(covariances: PromptCovariances, targets: Tensor) -> Headroom:
    return raw_headroom(covariances.within(), targets)


HEADROOMS: Mapping[str, Callable[[PromptCovariances, Tensor], Headroom]] = {
    "raw": _raw,
    "grpo": _mean_std,
    "pooled": _pooled,
}
"""Headroom by the name of the signal (`ctwa_signals.SIGNALS`)."""


def batch_covariances(batch: Batch, count: int, scalarizer: str) -> PromptCovariances:
    """Covariances of the batch's rewards, prompt by prompt; of samples the unbiased ones (K − 1).

    Raises:
        CovlawError: on rewards that are missing, not finite or of the wrong shape, and as
            `prompt_covariances`.
    """
    rewards = given_rewards(batch, count, scalarizer)
    return prompt_covariances(rewards, batch.prompt, batch.mass, batch.prompt_mass)


def room_of_varying(covariances: PromptCovariances, targets: Tensor, signal: str) -> Room:
    """Headroom of the objectives that vary and have a target: no weights move the others.

    An objective that is constant in every prompt of the batch would make t* = 0 and take all the
    weight, so that nothing is learned; it is left out.

    Args:
        covariances: Of one batch.
        targets: (M,) c ≥ 0, not all 0.
        signal: raw, grpo or pooled.
    """
    weights, live = torch.zeros_like(targets), covariances.varying() & (targets > 0)
    if not bool(live.any()):
        return Room(torch.zeros_like(targets[0]), weights + 1 / len(weights))
    found = HEADROOMS[signal](covariances.of(live), targets[live])
    weights[live] = found.bundle / found.bundle.sum()
    return Room(found.factor, weights)

"""Headroom of a batch: how much every objective that varies in it can gain at once (T31, T36)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import by_pattern
from covlaw.theory.estimators.headroom import Headroom, headroom, raw_headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.scalarizers._given import given_rewards
from covlaw.theory.scalarizers.protocol import Batch


class Room(NamedTuple):
    """What the objectives that vary could gain, in the proportion c."""

    factor: Tensor
    """(...) t*: gains of t*·c are the largest; 0 where nothing varies."""
    weights: Tensor
    """(..., M) the weights that reach it, sum 1; 0 for an objective that does not vary."""


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
    if rewards.ndim == 2:
        return prompt_covariances(rewards, batch.prompt, batch.mass, batch.prompt_mass)
    return _of_runs(rewards, batch)


def _of_runs(rewards: Tensor, batch: Batch) -> PromptCovariances:
    """The same of R runs, (R, N, M): their prompts are R times as many prompts."""
    runs, prompt = rewards.shape[0], torch.unique(batch.prompt, return_inverse=True)[1]
    count = int(prompt.max()) + 1
    apart = prompt + count * torch.arange(runs, device=prompt.device)[:, None]
    mass = None if batch.mass is None else batch.mass.flatten()
    found = prompt_covariances(rewards.flatten(0, 1), apart.flatten(), mass)
    matrices, even, means, noise = (field.unflatten(0, (runs, count)) for field in found)
    share = (
        torch.ones_like(even) if batch.prompt_mass is None else batch.prompt_mass.expand_as(even)
    )
    return PromptCovariances(matrices, share / share.sum(1, keepdim=True), means, noise)


def room_of_varying(covariances: PromptCovariances, targets: Tensor, signal: str) -> Room:
    """Headroom of the objectives that vary and have a target: no weights move the others.

    An objective that is constant in every prompt of the batch would make t* = 0 and take all the
    weight, so that nothing is learned; it is left out.

    Args:
        covariances: Of one batch, or of one batch a run.
        targets: (M,) c ≥ 0, not all 0.
        signal: raw, grpo or pooled.
    """
    if covariances.matrices.ndim == 3:
        alone = PromptCovariances(*(field[None] for field in covariances))
        return Room(*(field[0] for field in room_of_varying(alone, targets, signal)))
    live = covariances.varying() & (targets > 0)
    weights = torch.zeros(live.shape, dtype=torch.float64)
    factor = torch.zeros_like(weights[:, 0])
    for rows, some in by_pattern(live):
        if not bool(some.any()):
            weights[rows] = 1 / len(targets)
            continue
        found = HEADROOMS[signal](covariances.rows(rows).of(some), targets[some])
        share = found.bundle / found.bundle.sum(1, keepdim=True)
        factor[rows], weights[rows[:, None], some.nonzero()[:, 0]] = found.factor, share
    return Room(factor, weights)

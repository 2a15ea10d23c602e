"""How optimistic a batch is about the update that it made, by group size K (T8, T19, T20)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.same_sample import same_sample, softmax_kernel
from covlaw.toys.bandit import bandit_world

SIZES = (2, 4, 8, 16, 32, 64)
RATES = (0.3, 3.0)
"""Of the policy gradient: nearly first order, and well beyond it."""
PROMPTS, ARMS, OBJECTIVES = 8, 8, 3
WEIGHTS = (0.5, 0.3, 0.2)
"""Of the objectives in the score."""
COMPLETIONS, QUICK_COMPLETIONS = 2**19, 2**14
"""Drawn in all at every K, so that small groups come in more batches."""


class Arms(NamedTuple):
    """The enumerated world: P prompts of n arms; the score is the last objective."""

    policy: Tensor
    """(P, n)."""
    rewards: Tensor
    """(P, n, M + 1)."""

    @property
    def score(self) -> Tensor:
        """(P, n) s."""
        return self.rewards[..., -1]


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Judge policy-gradient updates by the batch that made them, by fresh samples, and exactly.

    Every prompt has its own logits. A batch of K completions a prompt makes one step of plain
    policy gradient with leave-one-out advantages, whose expected gradient is the same at every K.

    Args:
        seed: World and batches depend on it alone.
        quick: 2¹⁴ completions at every K instead of 2¹⁹.

    Returns:
        A record for each rate, K and objective (the last is the score itself): `learning_rate`,
        `group_size`, `objective`, `batches`, `predicted` (the own sample's ratio to first order)
        and four means over prompts and batches with their standard errors: `realised` by
        enumeration of both policies; `same`, `independent` and `leave_one_out` (null at K = 2) by
        sample covariances with ρ, whose `ratio` to `realised` has its own. Finite, JSON-able.
    """
    arms, names = _draw(seed)
    total = QUICK_COMPLETIONS if quick else COMPLETIONS
    return [
        record
        for rate in RATES
        for size in SIZES
        for record in _records(arms, names, rate, size, total // (PROMPTS * size), seed)
    ]


def log_ratio(arms: Arms, counts: Tensor, size: int | Tensor, rate: float) -> Tensor:
    """log π_new − log π of all arms (..., n) after the step that `counts` (..., n) makes.

    θ_a rises by η·count_a·(s_a − mean s)/(K − 1): the group mean with K − 1 in place of K is the
    leave-one-out baseline (T20), and centred advantages need no π in the gradient.
    """
    centred = arms.score - (counts * arms.score).sum(-1, keepdim=True) / size
    logits = arms.policy.log() + rate * counts * centred / (size - 1)
    return logits.log_softmax(-1) - arms.policy.log()


def sample_covariance(counts: Tensor, rewards: Tensor, ratio: Tensor, size: int) -> Tensor:
    """Cov(r_j, ρ) with the divisor K − 1 of samples given by counts (..., n): (..., M)."""
    mean = (counts[..., None] * rewards).sum(-2, keepdim=True) / size
    return ((counts * ratio)[..., None] * (rewards - mean)).sum(-2) / (size - 1)


def leave_one_out(arms: Arms, counts: Tensor, size: int, rate: float) -> Tensor:
    """Mean of (r_k − mean_{l≠k} r_l)·ρ₋ₖ(y_k), ρ₋ₖ the update that the others make: (..., M).

    y_k is independent of ρ₋ₖ, and E_old ρ₋ₖ = 1 takes the baseline away: unbiased for the change
    that a batch of K − 1 makes, at any rate. An arm's draws share a value, so n updates do.
    """
    others = counts[..., None, :] - torch.eye(counts.shape[-1], dtype=counts.dtype)
    stacked = Arms(arms.policy[..., None, :], arms.rewards[..., None, :, :])
    own = log_ratio(stacked, others, size - 1, rate).diagonal(dim1=-2, dim2=-1).exp()
    total = (counts[..., None] * arms.rewards).sum(-2, keepdim=True)
    centred = arms.rewards - (total - arms.rewards) / (size - 1)
    return ((counts * own)[..., None] * centred).sum(-2) / size


def _draw(seed: int) -> tuple[Arms, tuple[str, ...]]:
    world = bandit_world(np.random.default_rng([seed, 1]), PROMPTS, ARMS, OBJECTIVES)
    rewards = world.rewards.reshape(PROMPTS, ARMS, OBJECTIVES)
    score = rewards @ torch.tensor(WEIGHTS, dtype=torch.float64)
    policy = world.log_prob_at().exp().reshape(PROMPTS, ARMS)
    return Arms(policy, torch.cat([rewards, score[..., None]], 2)), (*world.names, "score")


def _records(
    arms: Arms, names: tuple[str, ...], rate: float, size: int, batches: int, seed: int
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([seed, 2, size])
    policy = arms.policy.numpy()
    own, fresh = (
        torch.as_tensor(rng.multinomial(size, policy, (batches, PROMPTS))).to(torch.float64)
        for _ in range(2)
    )
    ratio = log_ratio(arms, own, size, rate).exp()
    realised = ((arms.policy * (ratio - 1))[..., None] * arms.rewards).sum(-2).mean(1)
    found = {
        "same": sample_covariance(own, arms.rewards, ratio, size).mean(1),
        "independent": sample_covariance(fresh, arms.rewards, ratio, size).mean(1),
        "leave_one_out": leave_one_out(arms, own, size, rate).mean(1) if size > 2 else None,
    }
    change, bias = same_sample(
        arms.rewards, arms.score, softmax_kernel(arms.policy), arms.policy, size
    )
    for j, objective in enumerate(names):
        truth = realised[:, j]
        yield {
            "learning_rate": rate,
            "group_size": size,
            "objective": objective,
            "batches": batches,
            "predicted": float(1 + bias[:, j].mean() / change[:, j].mean()),
            "realised": _mean(truth),
            **{k: None if x is None else _compared(x[:, j], truth) for k, x in found.items()},
        }


def _mean(values: Tensor) -> dict[str, float]:
    return {"mean": float(values.mean()), "se": float(values.std() / len(values) ** 0.5)}


def _compared(values: Tensor, truth: Tensor) -> dict[str, float]:
    """With the ratio of means; its error is that of mean(value − ratio·truth)/mean(truth)."""
    ratio = float(values.mean() / truth.mean())
    error = _mean(values - ratio * truth)["se"] / abs(float(truth.mean()))
    return {**_mean(values), "ratio": ratio, "ratio_se": error}

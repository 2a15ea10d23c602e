"""How much a batch flatters the update that it made, to first order.

A batch of K completions a prompt makes the step u = η·(1/K)Σ_k a_k ∇log π(y_k) with leave-one-out
advantages a_k = s_k − mean_{l≠k} s_l, and then judges it by its own covariance, with the divisor
K − 1, of r and f = ⟨∇log π, u⟩. Each completion has pulled the policy towards itself, so that its
own term of f goes with its own reward.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class SameSample(NamedTuple):
    """Expectations over batches, at η = 1, of each prompt and objective: (..., M)."""

    change: Tensor
    """G = E_{y,y'}[r̃(y) κ(y, y') s̃(y')]: what happens, whatever K."""
    bias: Tensor
    """What the batch's own covariance adds."""


def same_sample(
    rewards: Tensor, score: Tensor, kernel: Tensor, policy: Tensor, size: int
) -> SameSample:
    """Return the first-order change and what a batch's own covariance expects beyond it.

    bias = D/K + v·Cov(r, s)/(K(K−1)) − G·(K−2)/(K(K−1)) → (D − G)/K, with D = E[r̃ s̃ κ(y, y)] and
    v = E κ(y, y). Proof: with H the centring matrix of the batch, the covariance is
    r̃'HκHs̃/(K−1)²; E κ(y, ·) = 0 leaves the index patterns (a, a, a, a): K(1−1/K)² D,
    (a, c, c, a): (1−1/K) v Cov, and the two pairings of r̃, s̃ with κ: G times (K−1)³/K + (K−1)/K.

    Args:
        rewards: (..., n, M) of the n completions of a prompt.
        score: (..., n) s.
        kernel: (..., n, n) κ(y, y') = ⟨∇log π(y), ∇log π(y')⟩ at π.
        policy: (..., n) π.
        size: K ≥ 2.
    """
    mass = policy[..., None]
    r = mass * (rewards - (mass * rewards).sum(-2, keepdim=True))
    s = (score - (policy * score).sum(-1, keepdim=True))[..., None]
    own = kernel.diagonal(dim1=-2, dim2=-1)[..., None]
    change = (r * (kernel @ (mass * s))).sum(-2)
    diagonal = (r * s * own).sum(-2)
    spread = (mass * own).sum(-2) * (r * s).sum(-2)
    bias = diagonal / size + (spread - (size - 2) * change) / (size * (size - 1))
    return SameSample(change, bias)


def softmax_kernel(policy: Tensor) -> Tensor:
    """κ of a softmax with a free logit a completion: 1[y=y'] − π(y) − π(y') + Σπ²: (..., n, n)."""
    sums = policy[..., :, None] + policy[..., None, :]
    same = torch.eye(policy.shape[-1], dtype=policy.dtype)
    return same - sums + policy.square().sum(-1)[..., None, None]

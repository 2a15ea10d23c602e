"""pass@k: the chance that one of k completions is right, estimated without bias from n ≥ k."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def pass_at_k(right: Tensor, k: int) -> Tensor:
    """1 − C(n − c, k)/C(n, k) of each prompt, c of whose n completions are right.

    Chen et al. 2021, arXiv:2107.03374, eq. 1: the share of the k-subsets of the n completions that
    hold a right one, hence unbiased for 1 − (1 − p)^k, which plugging in p = c/n is not. As a
    product, Π_{i<k} (n − c − i)/(n − i) for the fraction, nothing overflows.

    Args:
        right: (P, n) bool or 0/1, completions of each prompt.
        k: At least 1, at most n.

    Returns:
        (P,) float64.

    Raises:
        CovlawError: for a k outside 1..n, or values other than 0 and 1.
    """
    n = right.shape[1]
    if not 1 <= k <= n:
        raise CovlawError(f"pass@{k} needs 1 ≤ k ≤ {n} completions a prompt")
    if not bool(((right == 0) | (right == 1)).all()):
        raise CovlawError("pass@k needs completions that are right or wrong: values 0 and 1")
    wrong = n - right.double().sum(1)
    drawn = torch.arange(k, dtype=torch.float64, device=right.device)
    fraction = (wrong[:, None] - drawn).clamp(min=0) / (n - drawn)
    return 1 - fraction.prod(1)

"""The drift to short responses of a constant token weight under token-mean aggregation (E7)."""

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements.base import Part


def drift_part(rng: np.random.Generator) -> Part:
    """One random pair of responses: (measured, predicted, tolerance), () each as (1,)."""
    p, size = float(rng.uniform(0.05, 0.95)), 2 * int(rng.integers(1, 5))
    lengths = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    # each of size + 1 batches sums `size` terms, at most 1 each; binomial weights err by 1e3 u
    error = rounding(2.0, 1024 + 8 * size * size)
    measured, predicted = enumerated_drift(p, lengths, size), exact_drift(p, lengths, size)
    return measured[None], torch.tensor([predicted], dtype=torch.float64), error[None]


def enumerated_drift(p: float, lengths: tuple[int, int], size: int) -> Tensor:
    """Expected gradient in the log-odds of the first response, in units of s*: ().

    Over all batches of `size` completions, by the scalarizer's advantages, each in units of its
    batch's s*; the rewards alternate and do not depend on the response.
    """
    rewards = (torch.arange(size) % 2).to(torch.float64)[:, None]
    scalarizer, total = make_scalarizer("pama", ["alternating"], reference=True), torch.zeros(())
    for first, share in enumerate(binom.pmf(np.arange(size + 1), size, p)):
        is_first = torch.arange(size) < first
        length = torch.where(is_first, lengths[0], lengths[1])
        mask = torch.arange(max(lengths)) < length[:, None]
        same = torch.zeros(mask.shape, dtype=torch.float64)
        prompt = torch.zeros(size, dtype=torch.int64)
        batch = Batch(rewards, prompt, log_ratio_to_reference=same, mask=mask)
        advantage = scalarizer.signal(scalarizer.init(), batch)[1].advantage
        if advantage is None:
            raise TypeError("the reference form returns an advantage")
        # only the first token has a choice: ∇ log π of it is 1[first response] − p
        units = advantage[:, 0] / advantage.max()  # every token has s*
        gradient = (units * (is_first.to(torch.float64) - p)).sum() / mask.sum()
        total = total + float(share) * gradient
    return total.to(torch.float64)


def exact_drift(p: float, lengths: tuple[int, int], size: int) -> float:
    """B·p(1−p)·E[1/(S + L₁) − 1/(S + L₂)], S the length of the B − 1 others.

    By conditioning on the others: E[(1_i − p)/(S + L_i)] = p(1−p)(1/(S+L₁) − 1/(S+L₂)). Positive
    iff the first response is the shorter one; about p(1−p)(L₂ − L₁)/(B·L̄²) for large batches.
    """
    count = np.arange(size)
    others = count * lengths[0] + (size - 1 - count) * lengths[1]
    gain = 1 / (others + lengths[0]) - 1 / (others + lengths[1])
    return float(size * p * (1 - p) * (binom.pmf(count, size - 1, p) @ gain))

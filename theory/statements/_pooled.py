"""All instances of a sampled identity judged together: one slope, with its error.

Comparison by comparison, a family of sampled identities must be allowed so much noise that
"nothing changes" and "half of it" pass as well. Together they have power: with measured m_i and a
forecast of two halves of the completions, a_i and b_i, independent given the prompts,

    T(c) = Σ_i [ψ(a_i)(m_i − c b_i) + ψ(b_i)(m_i − c a_i)]/2,   ψ(a) = a/(|a| + its standard error)

has mean 0 where m and c times the forecast estimate the same: ψ of one half knows nothing of the
noise of the other, nor of m's. So it is an instrument (Wald 1940: one half says where to look, the
other what is seen there); errors in the forecast do not dilute the slope, and noise that both sides
share through their prompts cancels. Its error is taken between instances, so that the objectives of
one audit may be correlated in any way.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from covlaw.theory.statements.base import Halves, Sides

TINY = torch.finfo(torch.float64).tiny
FEWEST = 4
"""Instances below which no error between them is worth judging by."""


class Pooled(NamedTuple):
    """The slope of what was measured on what was predicted, through the origin."""

    slope: float
    """Σ ψm / c Σ ψp, ψ from the half that p is not of; NaN where the forecasts are all noise."""
    slope_error: float
    p_value: float
    """Of T(1) = 0, two-sided, Student's t over instances."""
    instances: int


def pooled(sides: Sequence[Sides]) -> Pooled | None:
    """Judge the sampled identities among `sides` together; None where there are too few."""
    products = [_products(s.measured, s.halves) for s in sides if s.halves is not None]
    if len(products) < FEWEST:
        return None
    return _slope(torch.stack(products))


def _slope(products: Tensor) -> Pooled:
    """From ψ·m and c·ψ·p of each instance, (instances, 2)."""
    count = len(products)
    gap = products[:, 0] - products[:, 1]
    error = float(gap.std()) * count**0.5
    total = float(gap.sum())
    if error == 0:
        p_value = 1.0 if total == 0 else 0.0
    else:
        p_value = 2 * float(student.sf(abs(total) / error, count - 1))
    size = float(products[:, 1].sum())
    slope = float(products[:, 0].sum()) / size if size > 0 else float("nan")
    spread = float((products[:, 0] - slope * products[:, 1]).std()) * count**0.5
    return Pooled(slope, spread / abs(size) if size else float("nan"), p_value, count)


def _products(measured: Tensor, halves: Halves) -> Tensor:
    first, second = (half / (half.abs() + error).clamp(min=TINY) for half, error in halves.pairs)
    forecast = (first * halves.second + second * halves.first).sum() / 2
    return torch.stack([(measured * (first + second)).sum() / 2, halves.scale * forecast])

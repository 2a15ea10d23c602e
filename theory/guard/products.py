"""Inner products of long flat vectors in a diagonal metric, summed in float64 piece by piece."""

from collections.abc import Callable

import torch
from torch import Tensor

PIECE = 2**22
"""Parameters at a time: float64 copies of whole gradients would double the memory."""


def gramian_of(first: Tensor, second: Tensor, metric: Tensor | None = None) -> Tensor:
    """g_j'P h_k of rows (M, D) and (K, D): (M, K) float64."""

    def piece(part: slice) -> Tensor:
        left, right = first[:, part].double(), second[:, part].double()
        return (left if metric is None else left * metric[part].double()) @ right.T

    return _summed(piece, first.shape[1])


def effects_of(gradients: Tensor, step: Tensor) -> Tensor:
    """g_j·u of rows (M, D) and a step (D,): (M,) float64."""
    return _summed(lambda part: gradients[:, part].double() @ step[part].double(), step.shape[0])


def moving_effects(
    gradients: Tensor, step: Tensor, metric: Tensor | None, effects: Tensor
) -> Tensor:
    """g_j·u over the coordinates with P > 0 alone: (M,) float64; `effects` where no other moved."""
    if metric is None or not bool(((metric == 0) & (step != 0)).any()):
        return effects

    def piece(part: slice) -> Tensor:
        moved = torch.where(metric[part] > 0, step[part], 0.0)
        return gradients[:, part].double() @ moved.double()

    return _summed(piece, step.shape[0])


def squared_length(step: Tensor, metric: Tensor | None = None) -> Tensor:
    """|u|² = u'P⁻¹u of a step (D,): () float64; coordinates with P = 0 do not count."""

    def piece(part: slice) -> Tensor:
        square = step[part].double().square()
        if metric is None:
            return square.sum()
        weight = metric[part].double()
        return torch.where(weight > 0, square / torch.where(weight > 0, weight, 1.0), 0.0).sum()

    return _summed(piece, step.shape[0])


def _summed(piece: Callable[[slice], Tensor], size: int) -> Tensor:
    total = piece(slice(0, min(PIECE, size)))
    for start in range(PIECE, size, PIECE):
        total = total + piece(slice(start, min(start + PIECE, size)))
    return total

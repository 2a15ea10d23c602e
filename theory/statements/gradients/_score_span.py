"""The span of an enumerated policy's scores in L2(D·π), by a singular value decomposition (T12)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.worlds.world import World

_EDGE = 100.0


class ScoreSpan(NamedTuple):
    """Orthonormal basis of the √(D·π)-weighted scores, and its smallest singular value."""

    basis: Tensor
    """(N, rank)."""
    smallest: float


def score_span(world: World) -> ScoreSpan | None:
    """Basis of the retained singular vectors; None where the rank is not decided in float64.

    The cut-off is max(N, D)·2⁻⁵²·σ_max, as in the least squares under test. A singular value
    within a factor 100 of it may be kept by one and dropped by the other.
    """
    weighted = world.row_weight().sqrt()[:, None] * world.scores()
    left, values, _ = torch.linalg.svd(weighted, full_matrices=False)
    cut = max(weighted.shape) * torch.finfo(torch.float64).eps * values[0]
    kept = values > cut
    undecided = (values > cut / _EDGE) & (values < cut * _EDGE)
    if bool(undecided.any()) or not bool(kept.any()):
        return None
    return ScoreSpan(left[:, kept], float(values[kept].min()))

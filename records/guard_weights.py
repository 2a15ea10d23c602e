"""What the guard's weights μ of recorded steps say: whom it defended."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def weight_shares(weights: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(T, M) each objective's part of μ ≥ 0 (T, M), step by step; 0 where nothing was corrected."""
    given = np.asarray(weights, dtype=np.float64)
    total = given.sum(1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(given, total, out=np.zeros_like(given), where=total > 0)
    return shares

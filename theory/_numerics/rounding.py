"""Where tolerances come from: bounds on float64 rounding, never a picked number."""

import torch
from torch import Tensor

UNIT_ROUNDOFF = 2.0**-53
"""u of IEEE double precision: one operation errs by a factor 1 + δ, |δ| ≤ u."""


def rounding(magnitude: Tensor | float, operations: int) -> Tensor:
    """Bound the float64 error of a chain of `operations` on terms whose |·| add to `magnitude`.

    γ_n·magnitude with γ_n = n·u/(1 − n·u) (Higham 2002, §3.1). For a sum of N products,
    `operations` is N + 1 plus the roundings already inside each factor.

    Raises:
        ValueError: if n·u ≥ 1, where no digit is left and the bound says nothing.
    """
    n = operations * UNIT_ROUNDOFF
    if not n < 1:
        raise ValueError(f"{operations} roundings leave no correct digit in float64")
    return torch.as_tensor(magnitude, dtype=torch.float64).abs() * (n / (1 - n))

"""Both sides of many instances, kept as few big tensors instead of many small ones."""

import torch
from torch import Tensor

from covlaw.theory.statements.base import Sides

_CHUNK = 256


class Tally:
    """Collect `Sides`; 100,000 instances of a few comparisons each take some hundred MB."""

    def __init__(self) -> None:
        self._packed: list[Sides] = []
        self._exact: list[Sides] = []

    def add(self, sides: Sides) -> None:
        """Take one instance's comparisons."""
        if sides.standard_error is not None:
            self._packed.append(sides)
            return
        self._exact.append(sides)
        if len(self._exact) == _CHUNK:
            self._pack()

    def sides(self) -> list[Sides]:
        """Everything added, exact comparisons packed together."""
        self._pack()
        return list(self._packed)

    def _pack(self) -> None:
        if self._exact:
            measured = _flat([s.measured for s in self._exact])
            predicted = _flat([s.predicted for s in self._exact])
            tolerance = _flat([s.tolerance for s in self._exact])
            self._packed.append(Sides(measured, predicted, tolerance))
            self._exact = []


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])

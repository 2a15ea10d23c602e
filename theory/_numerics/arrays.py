"""What users hold numbers in: tensors, arrays, lists, data frames (known by their `to_numpy`)."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


class Column(Protocol):
    """A series or a data frame, of pandas, polars or others."""

    def to_numpy(self) -> Any:
        """Return its values as an array."""
        ...


Numbers = Tensor | NDArray[Any] | Sequence[Any] | Column
"""A tensor of any float type and device, an array, nested lists, or a data frame by position."""


def plain(values: Any) -> Any:
    """Turn a series, a frame or an awkward array into an array that torch takes without a word."""
    if isinstance(values, Tensor):
        return values
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and not (
        values.flags.writeable and values.flags.c_contiguous and values.dtype.isnative
    ):  # a frame's columns lie one after the other: sums in that order have other last bits
        values = values.astype(values.dtype.newbyteorder("="), order="C")
    return values


def as_float64(values: Any, what: str, device: torch.device | None = None) -> Tensor:
    """Return a tensor, array, nested list or data frame as float64, on `device` if given.

    Raises:
        CovlawError: for what is not real numbers, naming a frame's column.
    """
    given = plain(values)
    if isinstance(given, np.ndarray) and given.dtype == object:
        given = _from_objects(given, what, getattr(values, "columns", None))
    try:  # as_tensor alone would round Python floats to float32
        known = isinstance(given, Tensor)
        tensor = given if known else torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CovlawError(f"{what} must be numbers, e.g. a float tensor ({error})") from error
    if tensor.is_complex():
        raise CovlawError(f"{what} is {tensor.dtype}: give real numbers")
    return tensor.to(device=device, dtype=torch.float64)


def lost_precision(values: Any) -> float:
    """Relative rounding error u of numbers that were made in less than float64; 0 for others."""
    given = plain(values)
    if isinstance(given, np.ndarray):
        narrow = given.dtype.kind == "f" and given.dtype.itemsize < np.dtype(np.float64).itemsize
        return float(np.finfo(given.dtype).eps) / 2 if narrow else 0.0
    narrow = isinstance(given, Tensor) and given.is_floating_point()
    eps = torch.finfo(given.dtype).eps if narrow else 0.0
    return eps / 2 if eps > torch.finfo(torch.float64).eps else 0.0


def _from_objects(given: NDArray[Any], what: str, columns: Any) -> NDArray[Any]:
    """Numbers from an array of objects: frames with nullable or mixed columns give those."""
    parts = given.T if given.ndim == 2 else given[None]
    for k, part in enumerate(parts):
        try:
            part.astype(np.float64)
        except (TypeError, ValueError) as error:
            where = f"column {list(columns)[k]!r} of {what}" if columns is not None else what
            raise CovlawError(
                f"{where} must be numbers without gaps, e.g. a float tensor ({error})"
            ) from error
        if any(isinstance(value, str | bytes) for value in part.flat):
            raise CovlawError(f"{what} must be numbers: text such as {part.flat[0]!r} is none")
    return given.astype(np.float64)

"""Objects in memory: frames of pandas and polars, `datasets`, dicts of columns, lists of dicts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from covlaw.plugins.logs.formats.lines import of_columns, of_rows
from covlaw.plugins.logs.formats.table import Table
from covlaw.theory._numerics.errors import CovlawError


def from_memory(given: Any) -> Table:
    """Take a data frame, a `datasets.Dataset`, an arrow table, a dict of columns or rows.

    Raises:
        CovlawError: for anything else.
    """
    place = f"the {type(given).__name__}"
    names = getattr(given, "column_names", None) or getattr(given, "columns", None)
    if isinstance(given, Mapping):
        return of_columns({str(n): _listed(v) for n, v in given.items()}, place, "object")
    if names is not None and hasattr(given, "__getitem__"):
        columns = {str(name): _listed(given[name]) for name in names}
        return of_columns(columns, place, "object")
    if isinstance(given, Sequence) and given and all(isinstance(row, Mapping) for row in given):
        return of_rows([dict(row) for row in given], place, "object")
    raise CovlawError(
        f"{place} is no log: give paths, a data frame, a dict of columns or a list of dicts"
    )


def _listed(values: Any) -> Sequence[Any]:
    """A column as an array of numbers or a list; `NA` and the like become None."""
    for name in ("to_numpy", "numpy"):
        if hasattr(values, name):
            with suppress(Exception):  # nullable kinds, arrow without a zero copy
                values = getattr(values, name)()
            break
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "iuf" and getattr(values, "ndim", 1) == 1:
        return values  # type: ignore[no-any-return]
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    if hasattr(values, "to_pylist"):
        items = values.to_pylist()
    return [None if _is_missing(item) else item for item in items]


def _is_missing(item: Any) -> bool:
    return type(item).__name__ in {"NAType", "NaTType"}

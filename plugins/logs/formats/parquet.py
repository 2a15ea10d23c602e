"""Parquet, a record batch at a time, only the columns that are asked for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.plugins.logs.formats.table import ROWS, Block, Table
from covlaw.theory._numerics.errors import CovlawError

MAGIC = b"PAR1"
LENGTH = " (characters)"
"""Added to the name of a text column: the length of its texts, without the texts."""


def parquet(path: Path) -> Table:
    """Open a Parquet file.

    Raises:
        CovlawError: where pyarrow is missing, or the file is none.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CovlawError(f"{path}: Parquet needs pyarrow: pip install 'covlaw[logs]'") from error
    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise CovlawError(f"{path} is no readable Parquet file ({_first(error)})") from error
    if not file.metadata.num_rows:
        return Table(str(path), "parquet", {}, lambda _: iter(()))
    head = next(file.iter_batches(batch_size=256))
    columns = {name: _values(head.column(name)) for name in head.schema.names}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        there = [name for name in wanted if name.removesuffix(LENGTH) in columns]
        plain = sorted({name.removesuffix(LENGTH) for name in there})
        try:
            for batch in file.iter_batches(batch_size=ROWS, columns=plain, use_threads=False):
                yield {name: _column(batch, name) for name in there}
        except pyarrow.ArrowException as error:
            raise CovlawError(f"{path} ends in the middle ({_first(error)})") from error

    return Table(str(path), "parquet", columns, blocks)


def _column(batch: Any, name: str) -> Sequence[Any]:
    column = batch.column(name.removesuffix(LENGTH))
    if not name.endswith(LENGTH):
        return _values(column)
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        return _values(pyarrow.compute.utf8_length(column))
    return column.to_pylist()  # type: ignore[no-any-return]


def _values(column: Any) -> Sequence[Any]:
    """Numbers as float64 with NaN where missing (whole ones as they are), all else as a list."""
    import pyarrow

    kind = column.type
    values: Any
    if pyarrow.types.is_integer(kind) and not column.null_count:
        values = _plain(column, str(kind))
    elif pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind):
        values = _plain(column.cast(pyarrow.float64(), safe=False), "float64")
        if column.null_count:
            missing = _plain(column.is_null().cast(pyarrow.uint8()), "uint8")
            values = np.where(missing, np.nan, values)
    else:
        values = column.to_pylist()
    return values  # type: ignore[no-any-return]


def _plain(column: Any, kind: str) -> Any:
    """The values as they lie in memory; Arrow's own way to NumPy loads pandas, 50 MB of it."""
    dtype = np.dtype(kind)
    _, values = column.buffers()
    return np.frombuffer(values, dtype, len(column), column.offset * dtype.itemsize)


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

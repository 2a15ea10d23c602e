"""What a reader gives: columns of one file or object, and blocks of those that are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROWS = 16384
"""Rows of a block."""

Block = Mapping[str, Sequence[Any]]
"""Column → its values in these rows: an array of numbers (missing: NaN), or a list."""


@dataclass(frozen=True, eq=False)
class Table:
    """One file, or one object in memory."""

    place: str
    """As messages call it."""
    kind: str
    """"parquet", "jsonl", "json", "csv" or "object"."""
    head: Block
    """The first rows, by which columns are told apart."""
    blocks: Callable[[Sequence[str]], Iterator[Block]]
    """Every row, of these columns only."""
    notes: list[str] = field(default_factory=list)
    """What was left out on the way, a sentence each."""

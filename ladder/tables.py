"""Tables that fit any width without losing a digit: columns move to a further table instead."""

from collections.abc import Iterator, Sequence

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from covlaw.ladder.plain_text import NAME, shortened, spelled
from covlaw.ladder.screen import Console

UNBOUNDED = 100_000
"""Columns of a file or a pipe, where nobody's screen ends."""


def console() -> Console:
    """Return a console as wide as the terminal; off a terminal nothing is cut at 80 columns."""
    found = Console()
    if not found.is_terminal:
        found = Console(width=UNBOUNDED, soft_wrap=True)
    return found


class Rows:
    """A table by its columns and rows; the first `keys` columns stand in every part."""

    def __init__(self, columns: Sequence[str], left: set[str], keys: int = 1) -> None:
        self.columns, self.left, self.keys = list(columns), left, keys
        self.rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row, a cell a column; a name without end is cut."""
        self.rows.append(tuple(shortened(spelled(cell), NAME) for cell in cells))

    def show(self, where: Console) -> None:
        """Print it, in as many parts as the width asks for."""
        for k, part in enumerate(self.parts(where)):
            if k:
                where.print()
            where.print(part)

    def parts(self, where: Console) -> Iterator[Table]:
        """Tables of the key columns and as many others as fit; at least one other each."""
        keys, rest = list(range(self.keys)), list(range(self.keys, len(self.columns)))
        while True:
            count = len(rest)
            while count > 1 and not self._fits(where, keys + rest[:count]):
                count -= 1
            yield self._table(keys + rest[:count])
            rest = rest[count:]
            if not rest:
                return

    def _fits(self, where: Console, columns: Sequence[int]) -> bool:
        needed = Measurement.get(where, where.options, self._table(columns)).maximum
        natural = Measurement.get(
            where, where.options.update(max_width=UNBOUNDED), self._table(columns)
        ).maximum
        return max(needed, natural) <= where.width

    def _table(self, columns: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for k in columns:
            name = self.columns[k]
            table.add_column(
                name, justify="left" if name in self.left else "right", overflow="fold"
            )
        for row in self.rows:
            table.add_row(*(Text(row[k]) for k in columns))
        return table

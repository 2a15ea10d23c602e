"""From blocks of columns to a log: numbers checked row by row, prompts numbered, groups kept."""

import json
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.plugins.logs.columns import NESTED, Columns, reads_as_number
from covlaw.plugins.logs.formats.parquet import LENGTH
from covlaw.plugins.logs.formats.table import Block, Table
from covlaw.plugins.logs.log import Log, run_ends
from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[Any]
BUFFER = 2**25 + 2**20
"""Bytes: above the size from which the C library gives memory back at once."""


class Collector:
    """Takes one table after the other, and holds what a log needs of them."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.number: dict[Hashable, int] = {}
        self.parts = {name: _Rows() for name in ("step", "prompt", "rewards")}
        self.rest = {name: _Rows() for name in ("advantage", "length")}
        self.rows = 0

    def add(self, table: Table, columns: Columns) -> None:
        """Read a table.

        Raises:
            CovlawError: naming place, row and column of a value that is no number.
        """
        row, wanted = 0, columns.wanted
        if table.kind != "parquet":  # which alone counts characters without reading texts
            wanted = tuple(name.removesuffix(LENGTH) for name in wanted)
        for block in table.blocks(wanted):
            place = _Place(table.place, row, _steps(block, columns))
            self._take(block, columns, place)
            row += len(next(iter(block.values()), ()))
        self.rows += row

    def _take(self, block: Block, columns: Columns, place: "_Place") -> None:
        size = len(next(iter(block.values())))
        step = np.zeros(size, np.int64) if columns.step is None else _whole(block, columns, place)
        self.parts["step"].append(step)
        self.parts["prompt"].append(self._numbered(block[columns.group], place))
        rewards: dict[str, Sequence[Any]]
        if columns.nested:
            rewards = {n: _entries(block[NESTED], n) for n in columns.rewards}
        else:
            rewards = {n: block.get(n, ()) for n in columns.rewards}
        stacked = [_numbers(values, name, place) for name, values in rewards.items()]
        self.parts["rewards"].append(np.stack(stacked, 1))
        if columns.advantage is not None:
            advantage = _numbers(_means(block[columns.advantage]), columns.advantage, place)
            self.rest["advantage"].append(advantage)
        if columns.length is not None:
            plain = columns.length.removesuffix(LENGTH)
            values = block[columns.length if columns.length in block else plain]
            self.rest["length"].append(_lengths(values, plain, place))

    def _numbered(self, values: Sequence[Any], place: "_Place") -> Array:
        """Number each prompt by its first appearance, whatever it is written as."""
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            if bool(np.isnan(values).any() | (values != np.floor(values)).any()):
                row = int(np.flatnonzero(np.isnan(values) | (values != np.floor(values)))[0])
                raise CovlawError(f"{place.at(row)}: prompt id {values[row]!r} is none; mend it")
            values = values.astype(np.int64)
        if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
            found, first, inverse = np.unique(values, return_index=True, return_inverse=True)
            numbers = np.empty(len(found), np.int64)
            for k in np.argsort(first).tolist():
                numbers[k] = self.number.setdefault(found[k].item(), len(self.number))
            return numbers[inverse]
        keys = [prompt_key(value) for value in values]
        if None in keys:
            raise CovlawError(
                f"{place.at(keys.index(None))}: no prompt in column {self.columns.group!r}; drop "
                "the row, or name another column with group (--group)"
            )
        return np.asarray([self.number.setdefault(k, len(self.number)) for k in keys], np.int64)

    def log(self, notes: Sequence[str]) -> Log:
        """Everything that was added, in order of steps, without rows that have no group.

        Raises:
            CovlawError: where no prompt has two completions in a step.
        """
        step, prompt, rewards = (torch.as_tensor(part.joined()) for part in self.parts.values())
        rest = {
            name: torch.as_tensor(parts.joined()) if parts else None
            for name, parts in self.rest.items()
        }
        said = list(notes)
        if bool((step[1:] < step[:-1]).any()):
            said.append("steps stand out of order in the log: they were sorted")
            order = torch.argsort(step, stable=True)
            step, prompt, rewards = step[order], prompt[order], rewards[order]
            rest = {n: None if x is None else x[order] for n, x in rest.items()}
        kept = _grouped(step, prompt)
        alone = int((~kept).sum())
        if not bool(kept.any()):
            raise CovlawError(
                f"no prompt of column {self.columns.group!r} has two completions in a step: give "
                "the column that completions of one prompt share (--group), or log every "
                "completion of a group"
            )
        if alone:
            said.append(f"{alone} completions without another of their prompt and step left out")
            step, prompt, rewards = step[kept], prompt[kept], rewards[kept]
            rest = {n: None if x is None else x[kept] for n, x in rest.items()}
        by_text = self.columns.length is not None and self.columns.length.endswith(LENGTH)
        return Log(
            step,
            prompt,
            rewards,
            self.columns.rewards,
            tuple(self.number),
            _usable(rest["advantage"], "advantage", said),
            _usable(rest["length"], "length", said),
            self.columns.format,
            "characters" if by_text else "tokens",
            tuple(dict.fromkeys(said)),
        )


class _Place:
    """Where a block of rows stands, for messages."""

    def __init__(self, name: str, row: int, steps: Sequence[Any] | None) -> None:
        self.name, self.row, self.steps = name, row, steps

    def at(self, row: int) -> str:
        step = "" if self.steps is None else f" (step {self.steps[row]})"
        return f"{self.name}, row {self.row + row + 1}{step}"


def _steps(block: Block, columns: Columns) -> Sequence[Any] | None:
    return None if columns.step is None else block[columns.step]


def _whole(block: Block, columns: Columns, place: _Place) -> Array:
    name = str(columns.step)
    written = block[name]
    if not isinstance(written, np.ndarray):
        written = [int(v) if isinstance(v, str) and v.isdigit() else v for v in written]
    values = _numbers(written, name, place)
    bad = np.isnan(values) | (values != np.floor(values))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise CovlawError(f"{place.at(row)}: {name!r} is {values[row]}: give whole numbers")
    return values.astype(np.int64)


def _numbers(values: Sequence[Any], name: str, place: _Place) -> Array:
    """Values as float64 with NaN for what is missing; what is no number is refused."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        numbers = values.astype(np.float64)
    else:
        bad = [k for k, v in enumerate(values) if v is not None and not _is_number(v)]
        if bad:  # of a column of texts the one that is no number even as a text
            row = next((k for k in bad if not reads_as_number(values[k])), bad[0])
            raise CovlawError(
                f"{place.at(row)}: {name!r} is {ascii(values[row])[:40]}, which is no number; mend "
                "it, or leave the column out with rewards (--rewards)"
            )
        numbers = np.asarray([math.nan if v is None else v for v in values], np.float64)
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise CovlawError(
            f"{place.at(row)}: {name!r} is {numbers[row]}: mend the reward, or write null where it "
            "has no opinion"
        )
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)


def _lengths(values: Sequence[Any], name: str, place: _Place) -> Array:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return _numbers(values, name, place)
    return _numbers([v if isinstance(v, int | float) else _size(v) for v in values], name, place)


def _size(text: Any) -> float:
    """Characters of a text, or of the contents of a conversation."""
    if isinstance(text, str):
        return float(len(text))
    if isinstance(text, list | tuple):
        return sum(_size(turn.get("content") if isinstance(turn, dict) else turn) for turn in text)
    return 0.0


def _means(values: Sequence[Any]) -> Sequence[Any]:
    """Advantages of a token each: their mean over the completion."""
    if isinstance(values, np.ndarray):
        return values
    return [sum(v) / len(v) if isinstance(v, list | tuple) and v else v for v in values]


def _entries(rows: Sequence[Any], name: str) -> list[Any]:
    return [row.get(name) if isinstance(row, dict) else None for row in rows]


def prompt_key(value: Any) -> Hashable:
    """What tells prompts apart: themselves, or the JSON of a conversation."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value  # type: ignore[no-any-return]


class _Rows:
    """Rows of blocks in few large buffers, which go back to the system as they are joined."""

    def __init__(self) -> None:
        self.buffers: list[Array] = []
        self.used = BUFFER

    def __bool__(self) -> bool:
        return bool(self.buffers)

    def append(self, part: Array) -> None:
        """Copy a block."""
        start = 0
        while start < len(part):
            if not self.buffers or self.used == len(self.buffers[-1]):
                width = part.itemsize * int(np.prod(part.shape[1:], dtype=np.int64))
                size = max(1, BUFFER // width)
                self.buffers.append(np.empty((size, *part.shape[1:]), part.dtype))
                self.used = 0
            stop = min(len(part), start + len(self.buffers[-1]) - self.used)
            self.buffers[-1][self.used : self.used + stop - start] = part[start:stop]
            self.used += stop - start
            start = stop

    def joined(self) -> Array:
        """All rows in one array; nothing is held any more."""
        first = self.buffers[0]
        rows = sum(map(len, self.buffers)) - len(self.buffers[-1]) + self.used
        whole = np.empty((rows, *first.shape[1:]), first.dtype)
        del first
        start = 0
        while self.buffers:
            part = self.buffers.pop(0)
            part = part[: rows - start]
            whole[start : start + len(part)] = part
            start += len(part)
        return whole


def _grouped(step: Tensor, prompt: Tensor) -> Tensor:
    """Rows (N,) bool that share step and prompt with another."""
    kept = torch.zeros(len(step), dtype=torch.bool)
    start = 0
    for stop in run_ends(step):
        part = prompt[start:stop]
        _, inverse, sizes = torch.unique(part, return_inverse=True, return_counts=True)
        kept[start:stop] = sizes[inverse] > 1
        start = stop
    return kept


def _usable(values: Tensor | None, name: str, notes: list[str]) -> Tensor | None:
    if values is None or not bool(torch.isnan(values).any()):
        return values
    notes.append(f"the column of {name}s has gaps and is not used")
    return None

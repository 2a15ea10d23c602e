"""Problems from files with named columns: JSONL or Parquet, from a folder, a file or the hub."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from covlaw.llm.tasks.places import REMEDY, locate
from covlaw.llm.tasks.problem import Problem
from covlaw.theory._numerics.errors import CovlawError, unknown

SPLIT_SEED = 0
"""Of the partition of a single file into train, val and test (3 : 1 : 1)."""


_GSM8K = r"(?m)^####[ \t]+(.*\S)[ \t]*$"


class Columns(NamedTuple):
    """Where question and answer are, and what is put around each question.

    Attributes:
        prompt: Column of the question: text, or a list of chat turns whose contents are joined.
        answer: Column of the reference answer. A dot leads into a column: "reward_model.answer".
        prefix: Text before each question.
        suffix: Text after it, e.g. an instruction to box the answer.
        answer_pattern: A regular expression that finds the reference inside the answer's column:
            its first group, or all of it, at its last place. Without one, what follows the last
            line that begins with "#### " (GSM8K), and the whole text where there is none.
    """

    prompt: str = "prompt"
    answer: str = "answer"
    prefix: str = ""
    suffix: str = ""
    answer_pattern: str = ""


def load_jsonl(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any JSONL files with named columns; see `load`."""
    return load("jsonl", split, path, options)


def load_parquet(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any Parquet files with named columns; see `load`."""
    return load("parquet", split, path, options)


def load(kind: str, split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Read one split of a `jsonl` or `parquet` task.

    Args:
        kind: jsonl or parquet.
        split: train, val or test.
        path: A folder with ``<split>.<kind>``, one such file (parted 3 : 1 : 1, always in the same
            way), or the id of a data set on the hub that holds ``<split>.<kind>``.
        options: Fields of `Columns`.

    Raises:
        CovlawError: without a path, for a missing or unreadable file, an unreachable hub, or a
            column that is not there, naming those that are.
    """
    for name in options:
        if name not in Columns._fields:
            raise unknown(f"option of task {kind!r}", name, Columns._fields)
    columns = _checked(Columns(**{name: str(value) for name, value in options.items()}), kind)
    if path is None:
        raise CovlawError(f"task {kind!r} needs a path: {REMEDY.format(kind=kind)}")
    file, whole = locate(path, split, kind)
    rows = (read_jsonl if kind == "jsonl" else read_parquet)(file)
    chosen = rows if whole else _part(rows, split)
    return [_problem(row, columns, file) for row in chosen]


def _part(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    """Take one split's share of a single file."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(rows))
    held_out = len(rows) // 5
    bounds = [len(rows) - 2 * held_out, len(rows) - held_out]
    part = np.split(order, bounds)[("train", "val", "test").index(split)]
    return [rows[i] for i in sorted(part)]


def read_parquet(file: Path) -> list[dict[str, Any]]:
    """Read the rows of a Parquet file; CovlawError if it is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return list(parquet.read_table(file).to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise CovlawError(f"{file} is not a readable parquet file: {error}") from error


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Read the objects of a JSONL file; CovlawError names the line that is none."""
    rows = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CovlawError(f"{file} is not a readable text file: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            raise CovlawError(f"{file}, line {number} is not JSON: {error}") from error
        if row is not None and not isinstance(row, dict):
            raise CovlawError(f"{file}, line {number} is no object with named columns: {line!r}")
        rows.append(row)
    return [row for row in rows if row is not None]


def _problem(row: dict[str, Any], columns: Columns, file: Path) -> Problem:
    question, answer = (_value(row, name, file) for name in (columns.prompt, columns.answer))
    text = question if isinstance(question, str) else _joined(question, columns.prompt, file)
    return Problem(columns.prefix + text + columns.suffix, reference(answer, columns, row, file))


def reference(answer: Any, columns: Columns, row: Mapping[str, Any], file: Path) -> str:
    """Read a reference from the answer's column.

    Raises:
        CovlawError: naming the row, for what is neither text nor a finite number, for an empty
            text, or for one that holds no match of `answer_pattern`.
    """
    numeric = isinstance(answer, int | float) and not isinstance(answer, bool)
    if not isinstance(answer, str) and not (numeric and math.isfinite(answer)):
        raise CovlawError(
            f"{file}: column {columns.answer!r} holds {answer!r:.80} where the reference answer "
            f"should be, in row {row!r:.200}: give text or a number"
        )
    text = str(answer)
    found = list(re.finditer(columns.answer_pattern or _GSM8K, text))
    if columns.answer_pattern and not found:
        raise CovlawError(
            f"{file}: answer_pattern {columns.answer_pattern!r} finds nothing in {text!r:.200}"
        )
    if found:
        text = found[-1][1 if found[-1].re.groups else 0] or ""
    if not text.strip():
        raise CovlawError(f"{file}: column {columns.answer!r} is empty in row {row!r:.200}")
    return text.strip() if found else text


def _checked(columns: Columns, kind: str) -> Columns:
    try:
        re.compile(columns.answer_pattern)
    except re.error as error:
        raise CovlawError(
            f"answer_pattern {columns.answer_pattern!r} of task {kind!r} is no regular expression: "
            f"{error}"
        ) from error
    return columns


def _value(row: dict[str, Any], column: str, file: Path) -> Any:
    """Follow a column's dots; a column whose own name has dots comes first."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise CovlawError(
                f"{file} lacks column {column!r}; it has {', '.join(row)}: name the columns in "
                'task_options, e.g. task_options.prompt = "question"'
            )
        value = value[part]
    if value is None:
        raise CovlawError(f"{file}: column {column!r} is empty in row {row!r:.200}")
    return value


def _joined(turns: Any, column: str, file: Path) -> str:
    try:
        return "\n\n".join(turn["content"] for turn in turns)
    except (KeyError, TypeError) as error:
        raise CovlawError(
            f"{file}: {column} must be text or a list of turns with content; found {turns!r:.200}"
        ) from error

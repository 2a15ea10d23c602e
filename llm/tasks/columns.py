"""Problems from files with named columns, from a folder, a file or the hub."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from covlaw.llm.tasks.places import REMEDY, locate
from covlaw.llm.tasks.problem import SPLITS, Problem, conversation
from covlaw.llm.tasks.readers import READERS, Row, unpaired
from covlaw.theory._numerics.errors import CovlawError, unknown

SPLIT_SEED = 0
"""Of the partition of a single file into train, val and test (3 : 1 : 1)."""


_GSM8K = r"(?m)^####[ \t]+(.*\S)[ \t]*$"


class Columns(NamedTuple):
    """Where question and answer are.

    Attributes:
        prompt: Column of the question: text, or a list of chat turns, which keep their roles.
        answer: Column of the reference answer. A dot leads into a column: "reward_model.answer".
        answer_pattern: A regular expression that finds the reference inside the answer's column:
            its first group, or all of it, at its last place. Without one, what follows the last
            line that begins with "#### " (GSM8K), and the whole text where there is none.
    """

    prompt: str = "prompt"
    answer: str = "answer"
    answer_pattern: str = ""


def load_jsonl(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any JSONL files with named columns; see `load`."""
    return load("jsonl", split, path, options)


def load_json(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any JSON arrays of objects; see `load`."""
    return load("json", split, path, options)


def load_csv(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any CSV files whose first line names the columns; see `load`."""
    return load("csv", split, path, options)


def load_parquet(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any Parquet files with named columns; see `load`."""
    return load("parquet", split, path, options)


def load_arrow(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Any Arrow files, such as folders that `datasets` saves; see `load`."""
    return load("arrow", split, path, options)


def load(kind: str, split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Read one split of a task with named columns.

    Args:
        kind: A key of `readers.READERS`: jsonl, json, csv, parquet or arrow.
        split: train, val or test.
        path: A folder with ``<split>.<kind>`` or its shards (`places.locate`), one such file (its
            prompts parted 3 : 1 : 1, always in the same way, rows of one prompt together), or the
            id of a data set on the hub that holds ``<split>.<kind>``.
        options: Fields of `Columns`.

    Raises:
        CovlawError: without a path, for a missing or unreadable file, an unreachable hub, or a
            column that is not there, naming those that are.
    """
    for name in options:
        if name not in Columns._fields:
            known = (*Columns._fields, "prefix", "suffix")
            raise unknown(f"option of task {kind!r}", name, known)
    columns = _checked(Columns(**{name: str(value) for name, value in options.items()}), kind)
    if path is None:
        raise CovlawError(f"task {kind!r} needs a path: {REMEDY.format(kind=kind)}")
    files, whole = locate(path, split, kind)
    problems = [_problem(row, columns, file) for file in files for row in READERS[kind](file)]
    return problems if whole else _part(problems, split)


def _part(problems: list[Problem], split: str) -> list[Problem]:
    """Take one split's share of a single file: no prompt is in two of them."""
    different = dict.fromkeys(problem.prompt for problem in problems)
    place = {prompt: k for k, prompt in enumerate(different)}
    order = np.random.default_rng(SPLIT_SEED).permutation(len(place))
    held_out = len(place) // 5
    bounds = [len(place) - 2 * held_out, len(place) - held_out]
    chosen = set(np.split(order, bounds)[SPLITS.index(split)].tolist())
    return [problem for problem in problems if place[problem.prompt] in chosen]


def _problem(row: Row, columns: Columns, file: Path) -> Problem:
    question, answer = (_value(row, name, file) for name in (columns.prompt, columns.answer))
    prompt = _prompt(question, columns, file)
    others = {name: value for name, value in row.items() if name != columns.prompt}
    problem = Problem(prompt, reference(answer, columns, row, file), others)
    for mark in unpaired(problem.prompt + problem.reference):
        raise CovlawError(f"{file}: half a surrogate pair, {mark!r}, in row {row!r:.200}: mend it")
    return problem


def _prompt(question: Any, columns: Columns, file: Path) -> str:
    if isinstance(question, str):
        return question
    try:
        return conversation(question)
    except CovlawError as error:
        raise CovlawError(f"{file}: column {columns.prompt!r}: {error}") from error


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


def _value(row: Row, column: str, file: Path) -> Any:
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

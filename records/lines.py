"""Files of a record a line: the one reader, and what is kept when a run is resumed."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from covlaw.records.files import append_line, write_bytes, writing_to
from covlaw.records.parsing import LONGEST, UnreadableError, parse_object
from covlaw.records.schema.files import LINES
from covlaw.records.schema.kinds import WrongFieldError, anything
from covlaw.theory._numerics.errors import CovlawError

_log = logging.getLogger("covlaw")

ASIDE = ".unreadable"
"""Added to a file's name: where its unreadable lines are kept when a run is resumed."""
CONSTANT = ("objectives", "scalarizer", "seed")
"""Fields of steps.jsonl that one run does not change."""


class Line(NamedTuple):
    """One line of a file."""

    number: int
    """From 1."""
    content: bytes
    record: dict[str, Any] | None
    """None: it is none."""
    reason: str = ""
    """Why."""

    @property
    def cut(self) -> bool:
        """Whether a kill cut it short: nothing after it was ever written."""
        return not self.content.endswith(b"\n")


def lines(path: Path) -> Iterator[Line]:
    """Yield every line of a file, readable or not; none where there is no file.

    Raises:
        CovlawError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(LONGEST + 1):
                number += 1
                yield _line(number, content)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CovlawError(f"cannot read {path}: {error.strerror or error}") from error


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file as they stand, without those lines that are none."""
    return (line.record for line in lines(path) if line.record is not None)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a file and check it by its schema; [] where there is none.

    A line that is no record is left out and named in a warning (logger "covlaw"); the last one, if
    a kill cut it short, is left out without a word.

    Raises:
        CovlawError: naming file, line and field: a field is missing or wrong, a step is there twice
            or not at all, or the run changes its objectives.
    """
    kind, found, skipped = LINES.get(path.name, anything), list[Line](), 0
    for line in lines(path):
        if line.record is None:
            if not line.cut:
                skipped += 1
                _log.warning("%s, line %d is left out: %s", path, line.number, line.reason)
            continue
        try:
            kind(line.record, "", 0)
        except WrongFieldError as error:
            raise _error(path, line, str(error)) from error
        found.append(line)
    if path.name in LINES:
        _check_order(path, found)
    elif not found and path.exists():  # a measurement is written whole
        raise CovlawError(f"{path} holds no record: record it anew")
    records = [line.record for line in found if line.record is not None]
    if path.name == "steps.jsonl":
        _check_run(path, found, bool(skipped) or path.with_name(path.name + ASIDE).exists())
    return records


def cut_back(path: Path, step: int | None = None) -> int:
    """Keep only the records of steps before `step` (on resume), and return how many they are.

    Without `step` all records are kept.

    What stays is what was recorded, byte for byte. A line that is no record is moved to
    `<name>.unreadable` with its number, and hides none of those after it.

    Raises:
        CovlawError: if the file cannot be read or changed.
    """
    kept, aside, total = list[bytes](), list[Line](), 0
    for line in lines(path):
        total += len(line.content)
        if not line.cut and line.record is None:
            aside.append(line)
        elif (
            not line.cut
            and line.record is not None
            and (step is None or _before(line.record, step))
        ):
            kept.append(line.content)
    for line in aside:
        shown = line.content.decode("utf-8", "backslashreplace").rstrip("\n")
        record = {"line": line.number, "reason": line.reason, "text": shown}
        append_line(path.with_name(path.name + ASIDE), record)
        _log.warning(
            "%s, line %d is set aside in %s: %s",
            *(path, line.number, path.name + ASIDE, line.reason),
        )
    if sum(map(len, kept)) < total:
        with writing_to(path):
            write_bytes(path, b"".join(kept))
    return len(kept)


def recorded_steps(path: Path) -> int:
    """Steps from the first to the last that a file holds."""
    steps = [record.get("step") for record in read_lines(path)]
    return max((step + 1 for step in steps if isinstance(step, int)), default=0)


def _line(number: int, content: bytes) -> Line:
    try:
        return Line(number, content, parse_object(content))
    except UnreadableError as error:
        return Line(number, content, None, str(error))


def _before(record: dict[str, Any], step: int) -> bool:
    found = record.get("step")
    return isinstance(found, int) and found < step


def _check_order(path: Path, found: list[Line]) -> None:
    last = None
    for line in found:
        step = (line.record or {})["step"]
        if last is not None and step <= last:
            word = "again" if step == last else f"after step {last}"
            raise _error(path, line, f"step {step} stands {word}")
        last = step


def _check_run(path: Path, found: list[Line], known_gaps: bool) -> None:
    first = found[0].record if found else None
    for place, line in enumerate(found):
        record = line.record or {}
        if record["step"] != place and not known_gaps:
            raise _error(path, line, f"step {record['step']} follows {place} steps: one is missing")
        for field in CONSTANT:
            if first and record[field] != first[field]:
                raise _error(path, line, f"{field} is not that of line {found[0].number}")


def _error(path: Path, line: Line, what: str) -> CovlawError:
    return CovlawError(f"{path}, line {line.number}: {what}; restore the line, or remove it")

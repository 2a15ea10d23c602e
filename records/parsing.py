"""From bytes to records: whatever stands in a file is data, or a sentence about what is wrong."""

import json
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from covlaw.records.schema.kinds import Kind, WrongFieldError
from covlaw.theory._numerics.errors import CovlawError

LONGEST = 2**26
"""Bytes of a line, or of a file that is read whole."""


class UnreadableError(Exception):
    """A line is no record; the message says why."""


def parse(content: bytes) -> Any:
    """Read JSON.

    Raises:
        UnreadableError: if it is none: too long, not UTF-8, not JSON, nested too deeply, with NaN
            or numbers of thousands of digits.
    """
    if len(content) > LONGEST:
        raise UnreadableError(f"longer than {LONGEST // 2**20} MB")
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise UnreadableError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON ({error.msg}, character {error.pos})") from error
    except ValueError as error:
        raise UnreadableError("a number too long or not finite") from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error


def parse_object(content: bytes) -> dict[str, Any]:
    """Read JSON that is an object.

    Raises:
        UnreadableError: if it is anything else.
    """
    found = parse(content)
    if not isinstance(found, dict):
        raise UnreadableError(f"no object but {ascii(found)[:20]}")
    return found


def read_json(path: Path, kind: Kind) -> dict[str, Any]:
    """Read a file that is one object.

    Raises:
        CovlawError: if it cannot be read, is no JSON, or a field is not what its kind says.
    """
    content = read_bytes(path)
    try:
        found = parse_object(content)
        kind(found, "", 0)
    except (UnreadableError, WrongFieldError) as error:
        raise CovlawError(f"{path}: {error}; restore the file, or record it anew") from error
    return found


def read_toml(path: Path, kind: Kind) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        CovlawError: if it cannot be read, is no TOML, or a field is not what its kind says.
    """
    content = read_bytes(path)
    try:
        found = tomllib.loads(content.decode("utf-8"))
        kind(found, "", 0)
    except WrongFieldError as error:
        raise CovlawError(f"{path}: {error}; mend it") from error
    except (ValueError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise CovlawError(f"{path} is not valid TOML ({reason}): restore or mend it") from error
    return found


def read_bytes(path: Path) -> bytes:
    """Read a small file.

    Raises:
        CovlawError: if it cannot be read, or is too long for what it should be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CovlawError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > LONGEST:
        raise CovlawError(f"{path} is longer than {LONGEST // 2**20} MB: it is no record of ours")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)

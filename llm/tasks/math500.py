"""MATH-500 in the paper's layout: train, val and test.parquet (300/100/100 problems)."""

from pathlib import Path
from typing import Any

from covlaw.llm.tasks.problem import Problem
from covlaw.theory.errors import CovlawError

COLUMNS = ("prompt", "reward_model")
REMEDY = "give a folder with train.parquet, val.parquet and test.parquet, or a hub id"


def load(split: str, path: str | None = None) -> list[Problem]:
    """Read one split.

    Args:
        split: train, val or test.
        path: A folder holding ``<split>.parquet``, or the id of a data set on the Hugging Face hub
            with such a file. Columns read: `prompt`, a list of chat turns (content, role), and
            `reward_model`, whose field `ground_truth` is the reference answer.

    Raises:
        CovlawError: without a path, for a missing or unreadable file, an unreachable hub, or a
            file with other columns.
    """
    if path is None:
        raise CovlawError(f"task 'math500' needs a path: {REMEDY}")
    file = _local(Path(path), split) or _download(path, split)
    return [_problem(row, file) for row in _rows(file)]


def _local(folder: Path, split: str) -> Path | None:
    """Find the file in a local folder; None if there is no such folder."""
    if not folder.is_dir():
        return None
    file = folder / f"{split}.parquet"
    if not file.is_file():
        raise CovlawError(f"{folder} holds no {file.name}: {REMEDY}")
    return file


def _download(hub_id: str, split: str) -> Path:
    """Fetch the file from the hub, or from its local cache."""
    from huggingface_hub import hf_hub_download

    if hub_id.count("/") != 1 or hub_id.startswith(("/", ".", "~")):
        raise CovlawError(f"no folder {hub_id!r}: {REMEDY}")
    try:
        return Path(hf_hub_download(hub_id, f"{split}.parquet", repo_type="dataset"))
    except Exception as error:  # the hub client raises many unrelated kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CovlawError(
            f"{hub_id!r} is no local folder, and {split}.parquet cannot be fetched from the hub "
            f"({reason}): {REMEDY}"
        ) from error


def _rows(file: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise CovlawError(f"{file} is not a readable parquet file: {error}") from error
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise CovlawError(f"{file} lacks {missing}; it has {table.column_names}")
    return list(table.select(COLUMNS).to_pylist())


def _problem(row: dict[str, Any], file: Path) -> Problem:
    try:
        turns = "\n\n".join(turn["content"] for turn in row["prompt"])
        return Problem(turns, str(row["reward_model"]["ground_truth"]))
    except (KeyError, TypeError) as error:
        raise CovlawError(
            f"{file}: prompt must be a list of turns with content, reward_model must have a "
            f"ground_truth; found {row!r}"
        ) from error

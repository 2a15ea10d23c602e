"""Where a task's files are: a folder, a single file, or a data set on the Hugging Face hub."""

from pathlib import Path

from covlaw.theory._numerics.errors import CovlawError

REMEDY = "give a folder with train.{kind}, val.{kind} and test.{kind}, one {kind} file, or a hub id"


def locate(path: str, split: str, kind: str) -> tuple[Path, bool]:
    """Find the file with a split, and say whether it holds this split alone.

    Raises:
        CovlawError: if there is none.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return place, False
    if not place.is_dir():
        return _download(path, f"{split}.{kind}", kind), True
    file = place / f"{split}.{kind}"
    if not file.is_file():
        raise CovlawError(f"{place} holds no {file.name}: {REMEDY.format(kind=kind)}")
    return file, True


def _download(hub_id: str, name: str, kind: str) -> Path:
    """Fetch a file from the hub, or from its local cache."""
    from huggingface_hub import hf_hub_download

    remedy = REMEDY.format(kind=kind)
    if hub_id.count("/") != 1 or hub_id.startswith(("/", ".", "~")):
        raise CovlawError(f"no folder or file {hub_id!r}: {remedy}")
    try:
        return Path(hf_hub_download(hub_id, name, repo_type="dataset"))
    except Exception as error:  # the hub client raises many unrelated kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CovlawError(
            f"{hub_id!r} is no local folder, and {name} cannot be fetched from the hub "
            f"({reason}): {remedy}"
        ) from error

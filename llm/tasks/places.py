"""Where a task's files are: a folder, a single file, or a data set on the Hugging Face hub."""

import re
from pathlib import Path

from covlaw.theory._numerics.errors import CovlawError

REMEDY = (
    "give a folder with train.{kind}, val.{kind} and test.{kind} (or their shards, "
    "train-00000-of-00002.{kind}, or folders train/ …), one {kind} file, or a hub id"
)
_SHARD = re.compile(r"(?P<name>.*)-(?P<place>\d{2,})-of-(?P<count>\d{2,})")


def locate(path: str, split: str, kind: str) -> tuple[list[Path], bool]:
    """Find the files with a split, in order, and say whether they hold this split alone.

    A folder holds `<split>.<kind>`, or its shards `<split>-00000-of-00002.<kind>` …, or a folder
    `<split>` with files of the kind, as `datasets` saves several splits; shards named otherwise
    (`data-00000-of-00001.arrow`, a saved data set without splits) are parted as one file is.

    Raises:
        CovlawError: if there is none, or a shard is missing.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return [place], False
    if not place.is_dir():
        return [_download(path, f"{split}.{kind}", kind)], True
    file = place / f"{split}.{kind}"
    if file.is_file():
        return [file], True
    for folder in (place, place / "data"):
        if shards := _shards(folder, split, kind):
            return shards, True
    if (place / split).is_dir():
        files = _shards(place / split, None, kind) or sorted((place / split).glob(f"*.{kind}"))
        if files:
            return files, True
    if shards := _shards(place, "data", kind):
        return shards, False
    raise CovlawError(f"{place} holds no {file.name}: {REMEDY.format(kind=kind)}")


def _shards(folder: Path, name: str | None, kind: str) -> list[Path]:
    """Shards of a name (None: any) in a folder; none or all of them.

    Raises:
        CovlawError: if one is missing.
    """
    found = [(path, _SHARD.fullmatch(path.stem)) for path in sorted(folder.glob(f"*.{kind}"))]
    shards = {path: m for path, m in found if m and name in (None, m["name"])}
    if not shards:
        return []
    numbers = sorted(int(m["place"]) for m in shards.values())
    counts = {int(m["count"]) for m in shards.values()}
    if len(counts) > 1 or numbers != list(range(max(counts))):
        raise CovlawError(
            f"{folder} holds {len(shards)} shards ({', '.join(p.name for p in shards)}), which are "
            "not one whole set: add what is missing, remove what is of another set"
        )
    return sorted(shards, key=lambda path: int(shards[path]["place"]))


def _download(hub_id: str, name: str, kind: str) -> Path:
    """Fetch a file from the hub, or from its local cache."""
    from huggingface_hub import hf_hub_download

    from covlaw.llm.model.hub import hub_reachable

    remedy = REMEDY.format(kind=kind)
    if hub_id.count("/") != 1 or hub_id.startswith(("/", ".", "~")):
        raise CovlawError(f"no folder or file {hub_id!r}: {remedy}")
    try:
        here = not hub_reachable()
        return Path(hf_hub_download(hub_id, name, repo_type="dataset", local_files_only=here))
    except Exception as error:  # the hub client raises many unrelated kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CovlawError(
            f"{hub_id!r} is no local folder, and {name} cannot be fetched from the hub "
            f"({reason}): {remedy}"
        ) from error

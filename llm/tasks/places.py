"""Where a task's files are: a folder, a single file, or a data set on the Hugging Face hub."""

import re
from pathlib import Path

from covlaw.theory._numerics.errors import CovlawError

REMEDY = (
    "give a folder with train.{kind}, val.{kind} and test.{kind} (or their shards, "
    "train-00000-of-00002.{kind}, or folders train/ …), one {kind} file, or a hub id"
)
_SHARD = re.compile(r"(?P<name>.*)-(?P<place>\d{2,})-of-(?P<count>\d{2,})(?:-[0-9a-f]{8,})?")
_ENDS = ("", "-*-of-*", "/*")
"""What follows a split in its files' names: nothing, shards, a folder of its own."""


def locate(path: str, split: str, kind: str) -> tuple[list[Path], bool]:
    """Find the files with a split, in order, and say whether they hold this split alone.

    A folder holds `<split>.<kind>`, or its shards `<split>-00000-of-00002.<kind>` …, or a folder
    `<split>` with files of the kind, as `datasets` saves several splits; shards named otherwise
    (`data-00000-of-00001.arrow`, a saved data set without splits) are parted as one file is. A data
    set on the hub is searched alike, and its configurations' folders; `owner/name/folder` says
    which of them is meant.

    Raises:
        CovlawError: if there is none, a shard is missing, or several configurations have the split.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return [place], False
    if place.is_dir():
        return _in_folder(place, split, kind)
    place = _fetched(path, split, kind)
    folders = [place, *(f for f in sorted(place.iterdir()) if f.is_dir())]
    found = [f for f in folders if f.name != split and _of_split(f, split, kind)]
    if len(found) > 1:
        names = ", ".join("/".join([path, *f.relative_to(place).parts]) for f in found)
        raise CovlawError(f"{path} has {split} in several places: give one of {names}")
    return (_of_split(found[0], split, kind), True) if found else _in_folder(place, split, kind)


def _in_folder(place: Path, split: str, kind: str) -> tuple[list[Path], bool]:
    for folder in (place, place / "data"):
        if files := _of_split(folder, split, kind):
            return files, True
    if shards := _shards(place, "data", kind):
        return shards, False
    raise CovlawError(f"{place} holds no {split}.{kind}: {REMEDY.format(kind=kind)}")


def _of_split(folder: Path, split: str, kind: str) -> list[Path]:
    """The files with a split that a folder holds; none where it has none."""
    file, inner = folder / f"{split}.{kind}", folder / split
    if file.is_file():
        return [file]
    if shards := _shards(folder, split, kind):
        return shards
    return _shards(inner, None, kind) or sorted(inner.glob(f"*.{kind}"))


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


def _fetched(hub_id: str, split: str, kind: str) -> Path:
    """Fetch a split's files from the hub, or find them in its local cache; return their folder."""
    from huggingface_hub import snapshot_download

    from covlaw.llm.model.hub import hub_reachable

    remedy = REMEDY.format(kind=kind)
    owner, _, rest = hub_id.partition("/")
    name, _, folder = rest.partition("/")
    if not (owner and name) or owner[0] in ".~" or ".." in folder.split("/"):
        raise CovlawError(f"no folder or file {hub_id!r}: {remedy}")
    under = f"{folder}/" if folder else ""
    wanted = [f"{under}{front}{split}{end}.{kind}" for front in ("", "*/") for end in _ENDS]
    try:
        place = snapshot_download(
            f"{owner}/{name}",
            repo_type="dataset",
            allow_patterns=wanted,
            local_files_only=not hub_reachable(),
        )
    except Exception as error:  # the hub client raises many unrelated kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CovlawError(
            f"{hub_id!r} is no local folder, and its {split} cannot be fetched from the hub "
            f"({reason}): {remedy}"
        ) from error
    found = Path(place) / folder
    if not found.is_dir():
        raise CovlawError(f"{owner}/{name} on the hub has no {under}{split}.{kind}: {remedy}")
    return found

"""Which model a path names: told from its files, so that another one at the same place is seen."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from covlaw.llm.base.pretrained.gguf import digest
from covlaw.llm.model.adapters import base_of
from covlaw.llm.model.policy import resolve_model

WEIGHTS = (".safetensors",)
READ = (*WEIGHTS, ".json", ".jinja", ".model", ".txt")
"""Endings of the files that a model and its tokenizer are read from."""
APART = ("base.json", "generation_config.json")
"""Not among them: what its maker tells of a model, and its ends, which a run records apart."""


def model_identity(model: str) -> str:
    """SHA-256 over all that is read of a model; of a hub id the commit that is cached, if any.

    A gigabyte takes about a second, less than loading it. Adapters count with the base that they
    are for.

    Args:
        model: As in `TrainConfig.model`.

    Raises:
        CovlawError: if a file cannot be read.
    """
    found = hashlib.sha256()
    folders = [folder for folder in _folders(resolve_model(model)) if folder.is_dir()]
    for folder in folders:
        found.update(files_digest(folder, READ).encode())
    return found.hexdigest() if folders else cached_commit(model)


def cached_commit(model: str) -> str:
    """The commit of a hub's model that was loaded last; "" of a folder, or before it is loaded."""
    if Path(resolve_model(model)).exists():
        return ""
    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:  # no hub id, which loading says
        return ""
    return Path(found).parent.name if isinstance(found, str) else ""


def files_digest(folder: Path, endings: Iterable[str] = WEIGHTS) -> str:
    """SHA-256 over the names and contents of a folder's files with these endings.

    Raises:
        CovlawError: if one cannot be read.
    """
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in tuple(endings) and path.name not in APART:
            whole.update(f"{path.name} {digest(path)}\n".encode())
    return whole.hexdigest()


def _folders(path: str) -> Iterator[Path]:
    """A model's, and of adapters their base's too."""
    yield Path(path)
    if base := base_of(path):
        yield from _folders(base)

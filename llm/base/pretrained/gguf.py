"""GGUF files as plain Hugging Face folders, converted once and found again by their content."""

import hashlib
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from covlaw.llm.base.cache import locked
from covlaw.llm.base.folder import describe, find_damage
from covlaw.llm.model.quiet import quiet
from covlaw.llm.runs.whole_folder import remove, written_whole
from covlaw.theory._numerics.errors import CovlawError

SUFFIX = ".gguf"
MAGIC = b"GGUF"
NEEDED = ("gguf", "accelerate")
"""What transformers reads such a file with."""
_MARKS = ("quantization_config", "hf_quantizer", "is_quantized", "quantization_method")
"""What it leaves on a dequantised model; with them it would refuse to write it."""

_log = logging.getLogger("covlaw")


def is_gguf(model: str) -> bool:
    """Tell whether a model is named as a GGUF file."""
    return model.lower().endswith(SUFFIX)


def check_gguf(file: Path) -> None:
    """Refuse a file that is missing or no GGUF, and a Python that lacks what reads one.

    Raises:
        CovlawError: saying which.
    """
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
    except OSError as error:
        raise CovlawError(f"cannot read the model {file}: {error.strerror or error}") from error
    if magic != MAGIC:
        raise CovlawError(f"{file} is no GGUF file: it begins with {magic!r}, not {MAGIC!r}")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CovlawError(
            f"reading {file.name} needs {' and '.join(missing)}: pip install 'covlaw[smollm2]'"
        )


def ensure_gguf(file: Path, root: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Return the folder of a GGUF file's model; convert it if there is none.

    Weights are dequantised to float32: what is trained has the file's quantised values as its
    start and is quantised no more. The folder appears whole or not at all; two processes that ask
    at once convert once; a damaged one is made again.

    Args:
        file: The GGUF file.
        root: Of the cache.
        about: Written into the folder's base.json, beside what was read.

    Raises:
        CovlawError: if the file cannot be read, or the cache cannot be written.
    """
    folder = converted(file, root)
    if is_whole(folder):
        return folder
    check_gguf(file)
    with locked(root / f"{folder.name}.lock"):
        if not is_whole(folder):  # another process may have made it while this one waited
            remove_damaged(folder)
            _log.warning("converting %s to %s, once (about a minute)", file.name, folder)
            _convert(file, folder, about or {})
    return folder


def converted(file: Path, root: Path) -> Path:
    """Where the converted model of a file is, or will be."""
    return root / f"gguf-{digest(file)[:12]}"


def is_whole(folder: Path) -> bool:
    """Whether a converted model is there as it was written; nothing is changed."""
    return folder.exists() and not find_damage(folder)


def remove_damaged(folder: Path) -> None:
    """Say what is wrong with a converted model that is not whole, and remove it.

    Only under its lock: another process may be writing it.
    """
    if folder.exists():
        _log.warning("converted model %s: %s; it is made again", folder, find_damage(folder))
        remove(folder)


def digest(file: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CovlawError: if it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise CovlawError(f"cannot read the model {file}: {error.strerror or error}") from error


def _convert(file: Path, folder: Path, about: Mapping[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, name = str(file.parent), file.name
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
            model: Any = AutoModelForCausalLM.from_pretrained(
                place, gguf_file=name, dtype=torch.float32
            )
    except Exception as error:  # whatever a reader makes of a foreign, cut or damaged file
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise CovlawError(
            f"transformers cannot read {file} ({type(error).__name__}: {reason}): it may be cut "
            "off or damaged (fetch it again), or its architecture or quantisation unknown; else "
            "give a Hugging Face folder"
        ) from error
    for part in (model, model.config):
        for mark in _MARKS:
            part.__dict__.pop(mark, None)
    with written_whole(folder) as target, quiet():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
        parameters = sum(p.numel() for p in model.parameters())
        kind = type(model).__name__
        describe(target, {**about, "file": name, "kind": kind, "parameters": parameters})

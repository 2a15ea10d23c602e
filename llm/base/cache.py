"""The base model on disk, found again by its fingerprint and trained once."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.folder import PROCEDURE, find_damage, train_base
from covlaw.llm.base.sft import Progress
from covlaw.llm.base.styles import STYLES
from covlaw.llm.tasks.arithmetic import calculations
from covlaw.theory._numerics.errors import CovlawError

log = logging.getLogger(__name__)


def default_root() -> Path:
    """Return $COVLAW_CACHE, or ~/.cache/covlaw."""
    return Path(os.environ.get("COVLAW_CACHE") or Path.home() / ".cache" / "covlaw")


def fingerprint(config: BaseConfig) -> str:
    """Hash everything that decides the weights: the configuration and the language."""
    every, settings = calculations(config.difficulty), asdict(config)
    del settings["difficulty"]  # the calculations say it
    language = [write(every[0], 0) for write in STYLES.values()]
    content = json.dumps([PROCEDURE, settings, every, language])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def ensure_base(config: BaseConfig, root: Path, progress: Progress | None = None) -> Path:
    """Return the cached base model of this configuration; train it if there is none.

    Two processes that ask at once train it once: the second waits. A damaged copy is replaced,
    with a message in the log.

    Raises:
        CovlawError: when `root` cannot be written.
    """
    folder = root / f"base-{fingerprint(config)}"
    if folder.exists() and not find_damage(folder):
        return folder
    with locked(root / f"{folder.name}.lock"):
        if folder.exists():  # damaged, or finished by another process while this one waited
            damage = find_damage(folder)
            if not damage:
                return folder
            log.warning("cached base model %s: %s; training it again", folder, damage)
            shutil.rmtree(folder)
        return train_base(config, folder, progress)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that the system releases when its process ends, however it ends."""
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise CovlawError(
            f"cannot write the model cache {file.parent}: {error}; "
            "set COVLAW_CACHE to another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()

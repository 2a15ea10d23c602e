"""The trained base model on disk: written whole or not at all, found again by its fingerprint."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from filelock import FileLock
from transformers.utils import logging as transformers_logging

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.corpus import build_corpus
from covlaw.llm.base.measure import measure
from covlaw.llm.base.sft import Progress, fit, new_model
from covlaw.llm.base.styles import STYLES
from covlaw.llm.tasks.arithmetic import calculations
from covlaw.theory.errors import CovlawError

SCHEMA = 1
"""Increase it when the training procedure changes: older cached models are then not used."""

WEIGHTS = "model.safetensors"
DESCRIPTION = "base.json"
log = logging.getLogger(__name__)


def default_root() -> Path:
    """Return $COVLAW_CACHE, or ~/.cache/covlaw."""
    return Path(os.environ.get("COVLAW_CACHE") or Path.home() / ".cache" / "covlaw")


def fingerprint(config: BaseConfig) -> str:
    """Hash everything that decides the weights: the configuration and the language."""
    language = [write(calculations()[0], 0) for write in STYLES.values()]
    content = json.dumps([SCHEMA, asdict(config), calculations(), language])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def train_base(config: BaseConfig, out: Path, progress: Progress | None = None) -> Path:
    """Train a base model from random weights and write it as a Hugging Face folder.

    The folder holds config.json, model.safetensors, the tokenizer and base.json (configuration,
    versions and measured behaviour). It appears under its name only when it is complete.

    Args:
        config: What to train; with it the weights are the same bit for bit on one machine.
        out: The folder to create.
        progress: Called after every step with (done, total, loss).

    Raises:
        CovlawError: when `out` exists or cannot be written.
    """
    if out.exists():
        raise CovlawError(f"{out} exists: choose another folder for the base model, or remove it")
    try:
        unfinished = out.parent / f".{out.name}.{os.getpid()}"
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise CovlawError(f"cannot write the base model to {out}: {error}") from error
    try:
        _train_into(unfinished, config, progress or (lambda *_: None))
        return unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def ensure_base(config: BaseConfig, root: Path, progress: Progress | None = None) -> Path:
    """Return the cached base model of this configuration; train it if there is none.

    Two processes that ask at once train it once: the second waits. A damaged copy is replaced,
    with a message in the log.

    Raises:
        CovlawError: when `root` cannot be written.
    """
    folder = root / f"base-{fingerprint(config)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{folder.name}.lock")
        lock.acquire()
    except OSError as error:
        raise CovlawError(
            f"cannot write the model cache {root}: {error}; set COVLAW_CACHE to another folder"
        ) from error
    try:
        if folder.exists() and (damage := find_damage(folder)):
            log.warning("cached base model %s: %s; training it again", folder, damage)
            shutil.rmtree(folder)
        return folder if folder.exists() else train_base(config, folder, progress)
    finally:
        lock.release()


def find_damage(folder: Path) -> str | None:
    """Say what is wrong with a base model on disk; None if it is whole."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        expected = description["sha256"]
        for name, digest in expected.items():
            if _sha256(folder / name) != digest:
                return f"{name} has changed since it was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _train_into(folder: Path, config: BaseConfig, progress: Progress) -> None:
    corpus = build_corpus()
    with _reproducible(config):
        model = new_model(config, corpus.tokenizer)
        loss = fit(model, corpus, config, progress)
        model.eval()
        measured = measure(model, corpus.tokenizer, config.samples, config.seed)
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
    with _quiet():
        model.save_pretrained(folder)
        corpus.tokenizer.save_pretrained(folder)
    description = {"schema": SCHEMA, "config": asdict(config), "loss": loss, "measured": measured}
    _describe(folder, description)


def _describe(folder: Path, description: dict[str, Any]) -> None:
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    text = json.dumps({**description, "versions": versions, "sha256": digests}, indent=2)
    (folder / DESCRIPTION).write_text(text + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _reproducible(config: BaseConfig) -> Iterator[None]:
    """Fix seed and threads inside, and leave the caller's as they were."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bar that saving a single file would draw."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()

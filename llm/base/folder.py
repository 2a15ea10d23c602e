"""A base model as a Hugging Face folder: written whole or not at all, and checked by digest."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM
from transformers.utils import logging as transformers_logging

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.corpus import build_corpus
from covlaw.llm.base.measure import measure
from covlaw.llm.base.sft import Progress, fit, new_model
from covlaw.llm.threads import thread_count
from covlaw.theory._numerics.errors import CovlawError

PROCEDURE = 1
"""Increase it when the training procedure changes: older cached models are then not used."""

DESCRIPTION = "base.json"


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
    unfinished = out.parent / f".{out.name}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)  # what a killed process of this id left
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise CovlawError(f"cannot write the base model to {out}: {error}") from error
    try:
        _train_into(unfinished, config, progress or (lambda *_: None))
        return unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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
    corpus = build_corpus(config.difficulty)
    with reproducible(config):
        model = new_model(config, corpus.tokenizer)
        loss = fit(model, corpus, config, progress)
        write_base(folder, model, corpus.tokenizer, config, loss)


def write_base(
    folder: Path,
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    config: BaseConfig,
    loss: float,
) -> None:
    """Measure a trained model and write it, with its description, into an empty folder."""
    model.eval()
    measured = measure(model, tokenizer, config)
    tokenizer.backend_tokenizer.no_padding()  # the last call's padding would be saved too
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
    with _quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    description = {
        "schema": PROCEDURE,
        "config": asdict(config),
        "loss": loss,
        "measured": measured,
    }
    describe(folder, description)


def describe(folder: Path, description: dict[str, Any]) -> None:
    """Write base.json: what the model is, versions, and the digest of every file there."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    text = json.dumps({**description, "versions": versions, "sha256": digests}, indent=2)
    (folder / DESCRIPTION).write_text(text + "\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reproducible(config: BaseConfig) -> Iterator[None]:
    """Fix seed and threads inside, and leave the caller's as they were."""
    with torch.random.fork_rng(devices=[]), thread_count(config.threads):
        torch.manual_seed(config.seed)
        yield


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

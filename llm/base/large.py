"""Training of the larger base model: stopped at any step, it continues bit for bit."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from covlaw.llm.base.corpus import Texts, build_corpora
from covlaw.llm.base.folder import reproducible, write_base
from covlaw.llm.base.large_config import LargeConfig
from covlaw.llm.base.mixed_batches import MixedBatch, ahead, draw_batch
from covlaw.llm.base.sft import (
    FACTS_WEIGHT,
    Progress,
    accumulate,
    by_length,
    counted,
    new_model,
    schedule,
)
from covlaw.llm.loop.optimizer import make_adamw
from covlaw.llm.runs import checkpoint
from covlaw.llm.runs.whole_folder import remove, written_whole
from covlaw.records import runs as records
from covlaw.records.lock import alone_in
from covlaw.theory._numerics.errors import CovlawError

LOSSES = "losses.jsonl"
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.01


def train_large(config: LargeConfig, folder: Path, progress: Progress | None = None) -> Path:
    """Train, or go on training, a base model; return `folder/model`, a Hugging Face folder.

    Beside it: the configuration, the environment and each step's loss. What `progress` raises
    stops the training after a checkpoint.

    Raises:
        CovlawError: if the folder holds another training or is in use; saying how to continue.
    """
    settings = {**asdict(config), "styles": [list(style) for style in config.styles]}
    if not records.holds_run(folder, settings):
        records.start_run(folder, settings, config.device)
    if not (folder / "model").exists():
        with alone_in(folder), reproducible(config):
            _Training(config, folder).finish(progress or (lambda *_: None))
    return folder / "model"


class _Training:
    """The moving parts of one training, and its steps."""

    def __init__(self, config: LargeConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.corpora = build_corpora(config.difficulties)
        self.tokenizer = self.corpora[0].tokenizer
        untrained: Any = new_model(config, self.tokenizer)
        self.model = untrained.to(torch.device(config.device))
        self.optimizer = make_adamw(self.model, config.learning_rate, WEIGHT_DECAY, BETAS)
        self.rate = schedule(config.steps, config.warm_up)
        self.done = 0
        self.loss = math.nan

    def finish(self, progress: Progress) -> None:
        """Do the steps that are left, then write the model in place of the checkpoints."""
        self._restore()
        for batch in ahead(self._draw, self.done, self.config.steps):
            self._advance(batch)
            with self._stopping():
                progress(self.done, self.config.steps, self.loss)
        with written_whole(self.folder / "model") as target:
            write_base(target, self.model, self.tokenizer, self.config, self.loss)
        remove(self.folder / "checkpoints")

    def _restore(self) -> None:
        losses, folder = self.folder / LOSSES, self.folder / "checkpoints"
        recorded = [line["loss"] for line in records.read_lines(losses)]
        found, _ = checkpoint.restore(folder, self.model, self.optimizer, {}, len(recorded))
        self.done = found.step if found else 0
        records.cut_back(losses, self.done)
        self.loss = recorded[self.done - 1] if self.done else math.nan

    def _draw(self, step: int) -> MixedBatch:
        return draw_batch(self.corpora, self.config, step)

    def _advance(self, batch: MixedBatch) -> None:
        """Do one step and record it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self.rate(self.done)
        device, low = torch.device(self.config.device), self.config.dtype == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            self._read(batch.facts, FACTS_WEIGHT)
            self.loss = self._read(batch.answers, 1.0)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        records.append_line(self.folder / LOSSES, {"step": self.done, "loss": self.loss})
        self.done += 1
        if self.done % self.config.checkpoint_every == 0:
            self._save()

    def _read(self, texts: Texts, weight: float) -> float:
        """Add the gradient of the texts' mean loss a token, micro-batch by micro-batch."""
        groups = math.ceil(len(texts.length) / self.config.micro_batch)
        tokens, device = counted(texts), torch.device(self.config.device)
        parts = [Texts(*(t.to(device) for t in part)) for part in by_length(texts, groups)]
        return sum(accumulate(self.model, part, weight, tokens) for part in parts)

    def _save(self) -> None:
        folder = self.folder / "checkpoints"
        checkpoint.save(folder, self.done, self.model, self.optimizer, {})

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Save a checkpoint when the training is stopped between steps; say how to continue."""
        try:
            yield
        except CovlawError as stop:
            self._save()
            again = f"stopped after {self.done} of {self.config.steps} steps; the same command"
            raise CovlawError(f"{stop} ({again} continues from there)") from stop

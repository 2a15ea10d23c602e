"""What a run would do, checked and counted without loading its model."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from covlaw.llm.audit.schedule import audit_count, audit_steps
from covlaw.llm.base import default_root, is_base_name, named_base
from covlaw.llm.base.pretrained.gguf import check_gguf, is_gguf
from covlaw.llm.base.pretrained.smollm2 import NAME as SMOLLM2
from covlaw.llm.base.pretrained.smollm2 import folder_of
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.prompt_order import steps_in_all
from covlaw.llm.loop.validation import SPLIT
from covlaw.llm.plan.fitting import require_memory
from covlaw.llm.plan.memory import Memory, estimate_memory
from covlaw.llm.plan.size import ModelSize, size_of
from covlaw.llm.plan.work import Work, count_work
from covlaw.llm.runs.same_run import holds
from covlaw.llm.sampling.engines import require_engine
from covlaw.llm.sampling.prompts import load_split
from covlaw.llm.sampling.scoring import Rewards
from covlaw.theory._numerics.errors import CovlawError

_HUB_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
MODEL_FILES = {
    "configuration": ("config.json",),
    "weights": ("*.safetensors", "pytorch_model*.bin"),
    "tokenizer": ("tokenizer*", "vocab*", "*.model"),
}
"""What a model's folder holds: any file of each."""


@dataclass(frozen=True)
class Plan:
    """A run before it is begun.

    Args:
        config: Its settings.
        problems: Training problems, before prompts over the limit are left out.
        steps: Batches in all.
        audits: The steps that are audited.
        work: Tokens, and what is passed through the model.
        size: Of the model; None if nothing is known of it.
        memory: Its parts; None with the size.
        continues: Whether the folder holds this run already.
        notes: What could not be checked here, or will be different elsewhere.
    """

    config: TrainConfig
    problems: int
    steps: int
    audits: tuple[int, ...]
    work: Work
    size: ModelSize | None
    memory: Memory | None
    continues: bool
    notes: tuple[str, ...]


def make_plan(config: TrainConfig) -> Plan:
    """Check all that can be checked without the model, and count the work.

    Raises:
        CovlawError: for a task's files, a reward, an engine, a model's folder or the run's folder
            that would stop the run.
    """
    _check_model(config.model)
    require_engine(config)
    Rewards(config.rewards, config.reward_seconds)
    questions = load_split(config, "train")
    problems, longest = len(questions), max(len(question.prompt) for question in questions)
    if config.evaluate_every:
        load_split(config, SPLIT)
    steps = steps_in_all(config, problems)
    audits = tuple(sorted(audit_steps(steps, audit_count(config, steps))))
    size = size_of(config.model)
    require_memory(config, size, longest)
    memory = estimate_memory(config, size, longest) if size else None
    work = count_work(config, steps, len(audits))
    continues = _check_folder(config)
    return Plan(config, problems, steps, audits, work, size, memory, continues, _notes(config))


def _check_model(model: str) -> None:
    if is_base_name(model):
        named_base(model)
    elif is_gguf(model):
        check_gguf(Path(model))
    elif Path(model).is_dir():
        _check_model_folder(Path(model))
    elif model != SMOLLM2 and not _HUB_ID.fullmatch(model):
        raise CovlawError(
            f"model {model!r} is no folder here and no hub id: give a folder with a Hugging Face "
            "causal LM, a GGUF file, a hub id such as Qwen/Qwen2.5-1.5B, 'smollm2' or 'base'"
        )


def _check_model_folder(folder: Path) -> None:
    """Refuse a folder without a configuration, weights or a tokenizer."""
    for what, patterns in MODEL_FILES.items():
        if not any(path for pattern in patterns for path in folder.glob(pattern)):
            raise CovlawError(
                f"folder {folder} is no Hugging Face model: it has no {what} "
                f"({' or '.join(patterns)})"
            )


def _check_folder(config: TrainConfig) -> bool:
    """Whether the run is in its folder already; nothing is created."""
    folder = Path(config.out)
    if folder.is_dir():
        return holds(folder, config)
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise CovlawError(f"cannot write to {folder}: {parent} is no folder that can be written")
    return False


def _notes(config: TrainConfig) -> tuple[str, ...]:
    notes = []
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        notes.append(f"device {config.device!r} is not available on this machine")
    if config.model == SMOLLM2 and not folder_of(default_root()).is_dir():
        notes.append(f"model {SMOLLM2!r} is fetched (93 MB) and converted when the run begins")
    named = is_base_name(config.model) or config.model == SMOLLM2 or is_gguf(config.model)
    if not named and not Path(config.model).is_dir():
        notes.append(f"model {config.model!r} is fetched from the hub when the run begins")
    if config.max_prompt_tokens:
        notes.append(
            f"prompts over {config.max_prompt_tokens} tokens are found when the tokenizer is loaded"
        )
    return tuple(notes)

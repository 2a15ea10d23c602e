"""What a run would do, checked and counted without loading its model."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from covlaw.llm.audit.schedule import audit_count, audit_steps
from covlaw.llm.base import default_root, is_base_name
from covlaw.llm.base.pretrained.gguf import is_gguf
from covlaw.llm.base.pretrained.smollm2 import NAME as SMOLLM2
from covlaw.llm.base.pretrained.smollm2 import folder_of
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.prompt_order import steps_in_all
from covlaw.llm.loop.validation import SPLIT
from covlaw.llm.model.adapters import require_peft
from covlaw.llm.model.context import refuse_beyond
from covlaw.llm.plan.fitting import require_memory, with_micro_batch
from covlaw.llm.plan.learning_rate import rate_trap
from covlaw.llm.plan.memory import Memory, estimate_memory, trained_parameters
from covlaw.llm.plan.model_names import check_model
from covlaw.llm.plan.size import ModelSize, size_of
from covlaw.llm.plan.work import Work, count_work
from covlaw.llm.rewards import wants_box, wants_number
from covlaw.llm.rewards.plain import last_number
from covlaw.llm.runs.same_run import holds
from covlaw.llm.sampling.engines import require_engine
from covlaw.llm.sampling.prompts import load_split
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError


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
        trained: Parameters that are trained, of adapters about so many; None with the size.
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
    trained: int | None
    notes: tuple[str, ...]


def make_plan(config: TrainConfig) -> Plan:
    """Check all that can be checked without the model, and count the work.

    Raises:
        CovlawError: for a task's files, a reward, an engine, a model's folder or the run's folder
            that would stop the run.
    """
    check_model(config.model)
    config = with_micro_batch(config)
    require_engine(config)
    if config.lora:
        require_peft()
    rewards = Rewards(config.rewards, config.reward_seconds)
    questions = load_split(config, "train")
    rewards.require(questions)
    problems, longest = len(questions), max(len(question.prompt) for question in questions)
    if config.evaluate_every:
        load_split(config, SPLIT)
    steps = steps_in_all(config, problems)
    audits = tuple(sorted(audit_steps(steps, audit_count(config, steps))))
    size = size_of(config.model)
    tight = require_memory(config, size, longest)
    if size and size.context:
        refuse_beyond(size.context, 1, config.max_tokens)
    memory = estimate_memory(config, size, longest) if size else None
    work = count_work(config, steps, len(audits))
    continues = _check_folder(config)
    trained = trained_parameters(config, size) if size else None
    notes = (*_notes(config), *_traps(config, trained, questions), *([tight] if tight else []))
    return Plan(config, problems, steps, audits, work, size, memory, continues, trained, notes)


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


def _traps(config: TrainConfig, trained: int | None, questions: Sequence[Problem]) -> Iterator[str]:
    """What is allowed and may teach nothing, or too much at once."""
    named = tuple(zip(config.objectives, config.rewards, strict=True))
    boxed = [name for name, entry in named if wants_box(entry)]
    texts = (config.system_prompt, config.chat_template, *(q.prompt for q in questions))
    if boxed and not is_base_name(config.model) and not any("boxed" in text for text in texts):
        yield (
            f"no prompt asks for a \\boxed{{…}} answer, without which {', '.join(boxed)} is 0: "
            "unless the model was brought up to it, ask in task_options.suffix or system_prompt"
        )
    numbers = [name for name, entry in named if wants_number(entry)]
    if numbers and all(last_number(question.reference) is None for question in questions):
        yield (
            f"no reference answer of the task has a number in it, so that {', '.join(numbers)} is "
            "0 whatever is written: take another reward, or a task whose answers are numbers"
        )
    if trained and (trap := rate_trap(config.learning_rate, trained)):
        yield trap

"""What fits into memory: what cannot is refused before any work, the rest is chosen or said."""

import os
from dataclasses import replace
from pathlib import Path

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan.memory import FLOAT, estimate_memory
from covlaw.llm.plan.size import ModelSize, size_of
from covlaw.llm.plan.work import audit_draws, step_draws
from covlaw.llm.sampling.prompts import load_split
from covlaw.records.runs import CONFIG, read_config
from covlaw.theory._numerics.errors import CovlawError

OVER = 4
"""An estimate is good to an order of magnitude: only what needs more than so many times the memory
that there is at all is refused."""
KEPT = 4 * FLOAT
"""Bytes that a sampled token leaves behind: its id, its mask and its log-probs."""


LARGEST = 256
"""Rows of a micro-batch that is chosen, at most: beyond, nothing becomes faster."""
FILLED = 0.6
"""Share of the memory that a chosen micro-batch may fill by the estimate."""


def with_micro_batch(config: TrainConfig) -> TrainConfig:
    """The config with a `micro_batch` where it is 0: the largest that fits, a power of two.

    A run that is continued keeps what it began with: last bits depend on it.

    Raises:
        CovlawError: for an unknown device, or a task's files that cannot be read.
    """
    if config.micro_batch:
        return config
    if (Path(config.out) / CONFIG).is_file():
        begun = read_config(Path(config.out)).get("micro_batch")
        if isinstance(begun, int) and begun > 0:
            return config.with_options(micro_batch=begun)
    longest = max(len(problem.prompt) for problem in load_split(config, "train"))
    return config.with_options(micro_batch=fitting_rows(config, size_of(config.model), longest))


def fitting_rows(config: TrainConfig, size: ModelSize | None, longest: int) -> int:
    """Rows of the largest micro-batch that fits: a power of two from 1 to `LARGEST`."""
    rows, there = LARGEST, FILLED * memory_of(config.device)
    while size and rows > 1 and _needed(replace(config, micro_batch=rows), size, longest) > there:
        rows //= 2
    return rows


def require_memory(config: TrainConfig, size: ModelSize | None, longest: int) -> str:
    """Refuse settings that need several times the memory of the device.

    Returns:
        A word where they may need more than there is, and what to do about it; else "".

    Args:
        config: Of the run.
        size: Of its model, if it is known.
        longest: Characters of the longest prompt.

    Raises:
        CovlawError: naming the need and the settings that decide it, or an unknown device.
    """
    there = memory_of(config.device)
    tokens = longest + config.max_tokens
    evaluated = config.prompts * config.evaluate_completions if config.evaluate_every else 0
    audited = audit_draws(config) if config.audits else 0
    needed = KEPT * max(step_draws(config), audited, evaluated) * tokens
    if size is not None:
        needed = max(needed, _needed(config, size, longest))
    if needed > OVER * there:
        raise CovlawError(
            f"this run would need about {needed / 2**30:,.0f} GiB of memory, and there are "
            f"{there / 2**30:,.0f} GiB: lower max_tokens, prompts, completions, micro_batch or "
            "the audits' numbers, or take a smaller model (--dry-run shows the parts)"
        )
    if needed <= there:
        return ""
    rows = fitting_rows(config, size, longest)
    smaller = rows < config.micro_batch and size is not None
    return (
        f"this run may need about {needed / 2**30:.1f} GiB of memory, and there are "
        f"{there / 2**30:.1f} GiB: "
        + (f"set micro_batch to {rows}, or " if smaller else "")
        + "lower prompts, completions or max_tokens, set gradient_checkpointing or audits = 0"
    )


def _needed(config: TrainConfig, size: ModelSize, longest: int) -> int:
    return estimate_memory(config, size, longest).known


def memory_of(device: str) -> int:
    """Bytes of a device's memory; that of the machine where the device is not here.

    Raises:
        CovlawError: for a name that torch does not know.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CovlawError(f"device {device!r} cannot be used ({reason}): use 'cpu'") from error
    if kind == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

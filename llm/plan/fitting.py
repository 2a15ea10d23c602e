"""Runs that no machine like this one can hold are refused before any work."""

import os

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan.memory import FLOAT, estimate_memory
from covlaw.llm.plan.size import ModelSize
from covlaw.llm.plan.work import audit_draws, step_draws
from covlaw.theory._numerics.errors import CovlawError

OVER = 4
"""An estimate is good to an order of magnitude: only what needs more than so many times the memory
that there is at all is refused."""
KEPT = 4 * FLOAT
"""Bytes that a sampled token leaves behind: its id, its mask and its log-probs."""


def require_memory(config: TrainConfig, size: ModelSize | None, longest: int) -> None:
    """Refuse settings that need several times the memory of the device.

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
        needed = max(needed, estimate_memory(config, size, longest).known)
    if needed > OVER * there:
        raise CovlawError(
            f"this run would need about {needed / 2**30:,.0f} GiB of memory, and there are "
            f"{there / 2**30:,.0f} GiB: lower max_tokens, prompts, completions, micro_batch or "
            "the audits' numbers, or take a smaller model (--dry-run shows the parts)"
        )


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

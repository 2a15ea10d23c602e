"""Checkpoints without pickle: safetensors and JSON, with checksums, whole or absent.

One holds the parameters, the optimizer's state, and the states of the scalarizer and the rewards
(their running means). Random streams and the position in the data are functions of the seed and
the step, which names the checkpoint: there is no generator to save.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.quiet import quiet
from covlaw.llm.runs.checkpoint_reading import SEAL, Checkpoint, read
from covlaw.llm.runs.optimizer_state import optimizer_tensors
from covlaw.llm.runs.whole_folder import checksums, remove, written_whole
from covlaw.records.runs import AnotherRunError
from covlaw.theory._numerics.errors import CovlawError

KEEP = 2
"""Checkpoints kept by default: the newest, and one to fall back to if it is corrupt."""
_DAMAGE = (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError)


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    states: Mapping[str, Any],
    keep: int = KEEP,
    ranks: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint of `step`, made by so many `ranks`; drop all but the newest `keep`.

    It names the run's `settings`, so that it cannot serve another.

    Raises:
        CovlawError: if it cannot be written, e.g. on a full disk; earlier ones stay.
    """
    with written_whole(folder / f"step-{step:06d}") as target:
        parameters = {n: p.detach().contiguous() for n, p in trainable(model).items()}
        save_file(parameters, target / "model.safetensors")
        save_file(optimizer_tensors(model, optimizer), target / "optimizer.safetensors")
        tensors = {
            f"{name}.{field}": value.contiguous().clone()  # two fields may be one tensor
            for name, state in states.items()
            for field, value in state._asdict().items()
        }
        save_file(tensors, target / "states.safetensors")
        seal = {"step": step, "ranks": ranks, "sha256": checksums(target)}
        seal |= {"settings": dict(settings)} if settings else {}
        (target / SEAL).write_text(json.dumps(seal), encoding="utf-8")
    for old in _found(folder)[keep:]:
        remove(old)


def restore(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    states: Mapping[str, Any],
    recorded: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Checkpoint | None, list[str]]:
    """Load the newest checkpoint that is whole; say which ones were not.

    Args:
        folder: The run's `checkpoints/`.
        model: Gets the parameters.
        optimizer: Gets its state.
        states: Fresh states; their fields and shapes say what a whole checkpoint holds.
        recorded: Steps whose records are there. A checkpoint ahead of them is used only where no
            other is whole: from an earlier one the missing lines are made again.
        settings: Of the run; a checkpoint that names others is refused.

    Returns:
        The checkpoint (None if there is none) and a warning for each one skipped.

    Raises:
        CovlawError: if checkpoints exist but none can be used: starting over would discard the
            records, so that is left to the user; if one is of another run.
    """
    if folder.exists() and not folder.is_dir():
        raise CovlawError(f"{folder} is no folder: move it away, or choose another run folder")
    for rubbish in folder.glob(".step-*.tmp"):  # of a kill
        remove(rubbish)
    found, reasons = _found(folder), list[str]()
    ahead = [path for path in found if recorded is not None and _step_of(path) > recorded]
    reasons += [f"checkpoint {p.name} is ahead of the {recorded} steps recorded" for p in ahead]
    for path in (*(p for p in found if p not in ahead), *ahead):
        try:
            used = read(path, model, optimizer, states, settings or {})
            return used, _warnings(reasons, path if path in ahead else None)
        except AnotherRunError:
            raise
        except _DAMAGE as error:
            reasons.append(f"checkpoint {path.name} is corrupt ({error})")
    if found:
        raise CovlawError(
            f"no checkpoint in {folder} is whole: {'; '.join(reasons)}; remove that folder to "
            "start over at step 0"
        )
    return None, []


def save_model(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write the finished model as a plain Hugging Face folder, whole or not at all.

    Raises:
        CovlawError: if it cannot be written.
    """
    with written_whole(folder) as target, quiet():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


def _found(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _step_of(path: Path) -> int:
    digits = path.name.removeprefix("step-")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _warnings(reasons: list[str], ahead: Path | None) -> list[str]:
    if ahead is None:
        return [f"{reason}; trying the one before" for reason in reasons]
    none = f"no other is whole: {ahead.name} is used, and the lines missing before it stay missing"
    return [*reasons, none]

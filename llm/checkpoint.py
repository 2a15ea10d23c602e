"""Checkpoints without pickle: safetensors and JSON, written aside and renamed."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from covlaw.llm.parameters import trainable
from covlaw.llm.quiet import quiet
from covlaw.theory.errors import CovlawError

KEEP = 2
"""Checkpoints kept: the newest, and one to fall back to if it is corrupt."""


class Checkpoint(NamedTuple):
    """State of a run between two steps."""

    step: int
    """The next step to do."""
    states: dict[str, Any]
    """NamedTuples of tensors by name (scalarizer, rewards, …)."""


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    states: Mapping[str, Any],
) -> None:
    """Write the checkpoint of `step`, then drop all but the newest `KEEP`."""
    target, temporary = folder / f"step-{step:06d}", folder / f".step-{step:06d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    parameters = {n: p.detach().contiguous() for n, p in trainable(model).items()}
    save_file(parameters, temporary / "model.safetensors")
    save_file(_optimizer_tensors(model, optimizer), temporary / "optimizer.safetensors")
    tensors = {
        f"{name}.{field}": value.contiguous().clone()  # two fields may be one tensor
        for name, state in states.items()
        for field, value in state._asdict().items()
    }
    save_file(tensors, temporary / "states.safetensors")
    (temporary / "step.json").write_text(json.dumps({"step": step}), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def restore(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    states: Mapping[str, Any],
) -> tuple[Checkpoint | None, list[str]]:
    """Load the newest checkpoint that is whole; say which ones were not.

    Args:
        folder: The run's `checkpoints/`.
        model: Gets the parameters.
        optimizer: Gets its state.
        states: Fresh states; their fields and shapes say what a whole checkpoint holds.

    Returns:
        The checkpoint (None if there is none) and a warning for each corrupt one skipped.

    Raises:
        CovlawError: if checkpoints exist but none is whole.
    """
    found = sorted(folder.glob("step-*"), reverse=True)
    warnings: list[str] = []
    for path in found:
        try:
            return _load(path, model, optimizer, states), warnings
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            warnings.append(f"checkpoint {path.name} is corrupt ({error}); trying the one before")
    if found:
        raise CovlawError(f"no checkpoint in {folder} is whole: remove the run to start over")
    return None, warnings


def save_model(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write the finished model as a plain Hugging Face folder, whole or not at all."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with quiet():
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    temporary.rename(folder)


def _load(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, states: Mapping[str, Any]
) -> Checkpoint:
    step = int(json.loads((path / "step.json").read_text(encoding="utf-8"))["step"])
    parameters = load_file(path / "model.safetensors")
    moments = load_file(path / "optimizer.safetensors")
    tensors = load_file(path / "states.safetensors")
    loaded = {
        name: type(state)(*(_like(tensors, f"{name}.{f}", v) for f, v in state._asdict().items()))
        for name, state in states.items()
    }
    own = trainable(model)
    if parameters.keys() != own.keys():
        raise KeyError("parameter names differ from the model's")
    with torch.no_grad():
        for name, p in own.items():
            p.copy_(_like(parameters, name, p))
    _restore_optimizer(model, optimizer, moments)
    return Checkpoint(step, loaded)


def _like(tensors: dict[str, Tensor], name: str, example: Tensor) -> Tensor:
    value = tensors[name]
    if value.shape != example.shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(example.shape)}")
    return value.to(example.device)


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().contiguous()
        for name, p in trainable(model).items()
        for key, value in optimizer.state.get(p, {}).items()
    }


def _restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]
) -> None:
    optimizer.state.clear()
    for name, p in trainable(model).items():
        prefix = f"{name}."
        # parameter names contain dots; the key is what follows the whole name
        state = {k[len(prefix) :]: v for k, v in moments.items() if k.startswith(prefix)}
        state = {k: v for k, v in state.items() if "." not in k}
        if state:
            optimizer.state[p] = {k: v if k == "step" else v.to(p.device) for k, v in state.items()}

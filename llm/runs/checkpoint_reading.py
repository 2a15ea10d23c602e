"""One checkpoint read back: nothing is changed before all of it has been found to fit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from covlaw.llm.model.parameters import trainable
from covlaw.llm.runs.optimizer_state import check_optimizer, restore_optimizer
from covlaw.llm.runs.whole_folder import checksums
from covlaw.records.runs import AnotherRunError

SEAL = "step.json"
"""The file that names the step and the other files' checksums."""


class Checkpoint(NamedTuple):
    """State of a run between two steps."""

    step: int
    """The next step to do."""
    states: dict[str, Any]
    """NamedTuples of tensors by name (scalarizer, rewards, …)."""
    ranks: int = 1
    """Processes that made it."""


def read(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    states: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Checkpoint:
    """Load one checkpoint: check everything, then change the model and the optimizer.

    Arguments as `covlaw.llm.runs.checkpoint.restore`.

    Raises:
        OSError, KeyError, TypeError, ValueError, SafetensorError: saying what is wrong with it.
        AnotherRunError: if it is whole and of a run with other settings.
    """
    step, ranks = _check_seal(path, settings)
    parameters = load_file(path / "model.safetensors")
    moments = load_file(path / "optimizer.safetensors")
    tensors = load_file(path / "states.safetensors")
    loaded = {name: _state(tensors, name, fresh) for name, fresh in states.items()}
    own = trainable(model)
    if parameters.keys() != own.keys():
        raise KeyError("parameter names differ from the model's")
    fitting = {name: _like(parameters, name, p) for name, p in own.items()}
    check_optimizer(model, moments)
    with torch.no_grad():
        for name, p in own.items():
            p.copy_(fitting[name])
    restore_optimizer(model, optimizer, moments)
    return Checkpoint(step, loaded, ranks)


def _check_seal(path: Path, settings: Mapping[str, Any]) -> tuple[int, int]:
    """(steps, processes that made them)."""
    seal = json.loads((path / SEAL).read_text(encoding="utf-8"))
    step = int(seal["step"])
    if path.name != f"step-{step:06d}":
        raise ValueError(f"{SEAL} says step {step}")
    sums = checksums(path)
    for name, expected in seal.get("sha256", {}).items():  # older runs have none
        if sums.get(name) != expected:
            raise ValueError(f"{name} is damaged or missing")
    changed = _differing(seal.get("settings", {}), settings)  # older runs have none
    if changed:
        raise AnotherRunError(
            f"checkpoint {path} is of another run: {changed} differs; choose another folder, or "
            "move its checkpoints away to start over"
        )
    return step, int(seal.get("ranks", 1))


def _differing(found: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Name a setting that both have, and not alike; "" if there is none."""
    for name in sorted(found.keys() & own.keys()):
        here, there = own[name], found[name]
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            if inner := _differing(there, here):
                return f"{name}.{inner}"
        elif here != there:
            return name
    return ""


def _state(tensors: dict[str, Tensor], name: str, fresh: Any) -> Any:
    """A state's fields; one that has a default may be younger than the checkpoint."""
    for field, default in type(fresh)._field_defaults.items():
        tensors.setdefault(f"{name}.{field}", default)
    return fresh._make(_like(tensors, f"{name}.{f}", v) for f, v in fresh._asdict().items())


def _like(tensors: dict[str, Tensor], name: str, example: Tensor) -> Tensor:
    value = tensors[name]
    if value.shape != example.shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(example.shape)}")
    return value.to(example.device)

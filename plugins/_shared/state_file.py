"""A scalarizer's state beside a trainer's own checkpoint."""

import json
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from covlaw.theory._numerics.errors import CovlawError

FILE = "covlaw.safetensors"


class Remembers(Protocol):
    """A scalarizer at work."""

    name: str
    names: list[str]
    """Of the rewards."""
    state: Any


def save_state(folder: Path, signals: Remembers) -> None:
    """Write the state, and what it is the state of."""
    tensors = {n: v.cpu().contiguous().clone() for n, v in signals.state._asdict().items()}
    about = {"scalarizer": signals.name, "rewards": json.dumps(signals.names)}
    temporary = folder / f".{FILE}.tmp"
    save_file(tensors, temporary, about)
    temporary.replace(folder / FILE)


def load_state(folder: Path, signals: Remembers) -> None:
    """Take the state up again.

    Raises:
        CovlawError: where there is none, or one of another scalarizer or other rewards.
    """
    path = folder / FILE
    fresh = signals.state._asdict()
    if not path.exists():
        if not fresh:  # nothing to remember
            return
        raise CovlawError(
            f"{folder} has no {FILE}: it was written without a scalarizer, whose state would start "
            "over; train from that folder as a model instead of resuming"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CovlawError(
            f"{path} can't be read ({error}): resume an earlier checkpoint"
        ) from error
    wanted = {"scalarizer": signals.name, "rewards": json.dumps(signals.names)}
    for key, value in wanted.items():
        if about.get(key) != value:
            raise CovlawError(
                f"{path} holds the state of {key} {about.get(key)}, this run has {value}: resume "
                "with the same, or train from that folder as a model"
            )
    if {n: v.shape for n, v in found.items()} != {n: v.shape for n, v in fresh.items()}:
        raise CovlawError(f"{path} holds a state of another form: resume with the same options")
    signals.state = type(signals.state)(**found)

"""Whether all ranks hold the same state: their copies are kept alike by computation alone."""

from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from covlaw.llm.distributed.processes import active
from covlaw.llm.model.parameters import trainable
from covlaw.llm.runs.checkpoint_manager import States
from covlaw.theory._numerics.errors import CovlawError

_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers as wide as a number, by bytes."""


def require_same_state(step: int, states: States, model: nn.Module) -> None:
    """Compare checksums of the states and the parameters after `step` steps.

    Raises:
        CovlawError: naming a rank that differs from rank 0, the step and what differs.
    """
    ranks = active()
    if ranks.alone:
        return
    own = {
        "the step": torch.tensor(step),
        "the scalarizer's state": _digest(states.scalarizer),
        "the rewards' state": _digest(states.rewards),
        "the guard's state": _digest(states.guard),
        "the parameters": _checksum(model),
    }
    everyone = ranks.gather(own, "the check of its state")
    for rank, found in enumerate(everyone):
        names = [name for name in own if not torch.equal(found[name], everyone[0][name])]
        if names:
            raise CovlawError(
                f"after step {int(everyone[0]['the step'])} rank {rank} differs from rank 0 in "
                f"{', '.join(names)} (it is at step {int(found['the step'])}): all ranks need the "
                "same versions, kind of device and run folder; what was recorded before stays"
            )


def _digest(state: Any) -> Tensor:
    """Of a NamedTuple of tensors, 8 bytes."""
    total = sha256()
    for value in state:
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return torch.frombuffer(bytearray(total.digest()[:8]), dtype=torch.uint8)


def _checksum(model: nn.Module) -> Tensor:
    """Sum of the parameters' bits as integers, modulo 2^64: one pass, in no particular order."""
    sums = [
        p.detach().view(_WHOLE[p.element_size()]).sum(dtype=torch.int64)
        for p in trainable(model).values()
    ]
    return torch.stack(sums).cpu()

"""The processes of one run, and all that they exchange: tensors by name, sums, agreement."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import pad

from covlaw.llm.distributed.monitor import Monitor

BUCKET = 2**23
"""Numbers summed in one exchange; a larger tensor goes alone."""


class ProcessGroup(Protocol):
    """A backend of `torch.distributed`; what is used of it."""

    def allgather(self, output: list[list[Tensor]], own: list[Tensor]) -> Any:
        """Collect a tensor of each rank."""
        ...

    def allreduce(self, tensors: list[Tensor]) -> Any:
        """Sum over ranks, in place."""
        ...


class Ranks:
    """This process among those that make one run; alone by default, where nothing is exchanged.

    Every rank must come to every exchange, in the same order. Each raises CovlawError, naming the
    culprit, if a rank fails, ends or stays away.

    Args:
        rank: Of this process; rank 0 writes the records.
        size: How many processes.
        monitor: Names those that fail; None where this one is alone.
        exchange: Process group for tensors on the CPU.
        sums: Process group for gradients, on the device that they are on.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        monitor: Monitor | None = None,
        exchange: ProcessGroup | None = None,
        sums: ProcessGroup | None = None,
    ) -> None:
        self.rank, self.size, self.monitor = rank, size, monitor
        self._exchange, self._sums = exchange, sums

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether this process writes the records."""
        return self.rank == 0

    def at_step(self, step: int) -> None:
        """Say which step the run is at, for messages."""
        if self.monitor:
            self.monitor.step = step

    def block(self, count: int) -> range:
        """This rank's part of `count` rows or prompts: parts are adjacent, equal but for one."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def gather(self, named: Mapping[str, Tensor], what: str) -> list[dict[str, Tensor]]:
        """Everyone's tensors, bit for bit, in the order of ranks, on the CPU.

        Names and number types must be the same on every rank; shapes need not.
        """
        if self.monitor is None or self._exchange is None:
            return [dict(named)]
        # cloned, for two names may be one tensor
        plain = {name: t.detach().cpu().contiguous().clone() for name, t in named.items()}
        own = torch.frombuffer(bytearray(save(plain)), dtype=torch.uint8)
        with self.monitor.meeting(what):
            sizes = [int(s) for s in self._all(torch.tensor([own.numel()]))]
            padded = self._all(pad(own, (0, max(sizes) - own.numel())))
        return [load(p[:s].numpy().tobytes()) for p, s in zip(padded, sizes, strict=True)]

    def sum_in_place(self, tensors: Sequence[Tensor], what: str) -> None:
        """Replace each tensor by its sum over ranks; the result is the same on all, bit for bit."""
        if self.monitor is None or self._sums is None:
            return
        self.meet(what)  # a rank that stays away is named here, where the wait has an end
        with self.monitor.meeting(what):
            for bucket in _buckets(tensors):
                flat = torch.cat([t.reshape(-1) for t in bucket])
                self._sums.allreduce([flat]).wait()
                for t, total in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                    t.copy_(total.view_as(t))

    def agreed(self, value: Tensor, what: str) -> Tensor:
        """Rank 0's value.

        Sums on a GPU may differ in their last bits from one to the next; a state must not.
        """
        return value if self.alone else self.gather({what: value}, what)[0][what].to(value.device)

    def yes(self, value: bool, what: str) -> bool:
        """Rank 0's answer."""
        return bool(self.agreed(torch.tensor(value), what))

    def meet(self, what: str) -> None:
        """Wait for every rank."""
        self.gather({"here": torch.zeros(1)}, what)

    def _all(self, own: Tensor) -> list[Tensor]:
        assert self._exchange is not None  # noqa: S101  # asked before
        found = [torch.empty_like(own) for _ in range(self.size)]
        self._exchange.allgather([found], [own]).wait()
        return found


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Part tensors, in their order, into runs of about `BUCKET` numbers."""
    bucket = list[Tensor]()
    for tensor in tensors:
        if bucket and sum(t.numel() for t in bucket) + tensor.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket

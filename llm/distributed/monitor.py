"""Who of a run's processes is where, so that one that fails or hangs is named by the others.

`monitored_barrier` of torch.distributed (2.13, gloo) does not serve: of three ranks one of which
died, rank 0 alone names it ("failed to pass monitoredBarrier in 5000 ms", after 0.1 s, the same
words as for one that hangs), rank 1 only points to rank 0's log, and nothing says at which step, in
what, or with which error. `new_group` needs the process's default group, which is left to vLLM.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from covlaw.theory._numerics.errors import CovlawError

FAILED = "failed"
"""Key of the first failure: of the failures that follow from it none is the cause."""


class Store(Protocol):
    """What is used of a store of `torch.distributed`."""

    def set(self, key: str, value: str) -> None:
        """Write a value."""
        ...

    def get(self, key: str) -> bytes:
        """Read a value, once there is one."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Whether all of them are there."""
        ...

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        """Write a value in place of another, or where there is none yet."""
        ...


class Place(NamedTuple):
    """Where a rank was when it last told."""

    meeting: int
    """How many exchanges it has come to."""
    step: int
    what: str


class Monitor:
    """Tells the other ranks where this one is, and finds out why an exchange failed.

    Args:
        store: Shared by the ranks.
        rank: Of this process.
        size: How many there are.
        seconds: Longest wait for another rank.
    """

    def __init__(self, store: Store, rank: int, size: int, seconds: float) -> None:
        self.store, self.rank, self.size, self.seconds = store, rank, size, seconds
        self.step = 0
        """That the run is at."""
        self._meetings = 0

    @contextmanager
    def meeting(self, what: str) -> Iterator[None]:
        """Wrap one exchange between all ranks.

        Raises:
            CovlawError: if it fails, naming the rank that failed, ended or stayed away.
        """
        self._meetings += 1
        started = time.monotonic()
        try:
            self.store.set(f"at/{self.rank}", f"{self._meetings} {self.step} {what}")
            yield
        except RuntimeError as error:
            late = time.monotonic() - started >= self.seconds
            raise CovlawError(self._reason(what, late)) from error

    def fail(self, message: str) -> None:
        """Leave word of a failure of this rank, unless another one failed first."""
        try:
            self.store.compare_set(FAILED, "", f"{self.rank} {message}")
        except RuntimeError:  # the store is gone, and with it those who would read it
            return

    def _reason(self, what: str, late: bool) -> str:
        try:
            failed = self._read(FAILED)
            places = {rank: self._place(rank) for rank in range(self.size)}
        except RuntimeError:
            return f"rank 0 ended before {what} of step {self.step}; see its own message"
        if failed:
            rank, _, message = failed.partition(" ")
            return f"rank {rank} stopped the run: {message}"
        return self._missing(places, what, late)

    def _missing(self, places: dict[int, Place], what: str, late: bool) -> str:
        behind = [r for r, p in places.items() if p.meeting < self._meetings]
        if not behind:
            others = " or ".join(str(r) for r in range(self.size) if r != self.rank)
            return f"rank {others} ended during {what} of step {self.step}: see its own message"
        names = "rank " + ", ".join(map(str, behind))
        last = places[behind[0]]
        where = f"it was last seen at step {last.step}" + (f", {last.what}" if last.what else "")
        if late:
            return (
                f"{names} did not reach step {self.step}, {what}, within {self.seconds:g} s "
                f"({where}): it hangs, or needs a larger rank_seconds"
            )
        return f"{names} ended before step {self.step}, {what} ({where}): see its own message"

    def _place(self, rank: int) -> Place:
        meeting, step, what = (self._read(f"at/{rank}") or "0 0 ").split(" ", 2)
        return Place(int(meeting), int(step), what)

    def _read(self, key: str) -> str | None:
        """A key's value; reading one that is not there would wait for it."""
        return self.store.get(key).decode() if self.store.check([key]) else None

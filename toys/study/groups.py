"""Arms that share a scalarizer, asked together where it serves many runs at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from covlaw.theory.scalarizers import Scalarizer, Signal
from covlaw.theory.scalarizers.protocol import stacks
from covlaw.toys.study.ensemble import Rows
from covlaw.toys.study.supply import Aftermath, Supply


@dataclass
class Group:
    """Arms with one scalarizer: several of one that stacks, or a single one.

    Args:
        scalarizer: Theirs.
        members: Their places among all arms.
        every: How many arms there are.
        state: With a leading axis, one entry a member, where the scalarizer stacks.
    """

    scalarizer: Scalarizer[Any]
    members: tuple[int, ...]
    every: int
    state: Any

    def __post_init__(self) -> None:
        self.rows: Rows = self.members[0]
        if stacks(self.scalarizer):
            whole = self.members == tuple(range(self.every))
            self.rows = slice(None) if whole else torch.tensor(self.members)

    def signal(self, supply: Supply) -> Signal:
        """Ask for this batch's signal; the state moves only if there is one."""
        batch = supply.batch(self.rows, self.scalarizer.before)
        self.state, signal = self.scalarizer.signal(self.state, batch)
        return signal

    def update(self, after: Aftermath) -> None:
        """Let the scalarizer adapt."""
        seen = after.observation(self.rows, self.scalarizer, self.scalarizer.after)
        self.state = self.scalarizer.update(self.state, seen)

    def without(self, leaving: Iterable[int]) -> "Group | None":
        """Those that stay."""
        gone = set(leaving)
        kept = [k for k, member in enumerate(self.members) if member not in gone]
        if len(kept) == len(self.members):
            return self
        return self._of(kept) if kept else None

    def apart(self) -> Iterator["Group"]:
        """A group a member."""
        return (self._of([k]) for k in range(len(self.members)))

    def _of(self, kept: Sequence[int]) -> "Group":
        state = type(self.state)(*(field[torch.tensor(kept)] for field in self.state))
        return Group(self.scalarizer, tuple(self.members[k] for k in kept), self.every, state)


def grouped(scalarizers: Sequence[Scalarizer[Any]]) -> list[Group]:
    """One group for each scalarizer that stacks, and one for each arm of another."""
    members: dict[tuple[int, int], list[int]] = {}
    for r, scalarizer in enumerate(scalarizers):
        members.setdefault((id(scalarizer), -1 if stacks(scalarizer) else r), []).append(r)
    return [_started(scalarizers[own[0]], own, len(scalarizers)) for own in members.values()]


def _started(scalarizer: Scalarizer[Any], members: Sequence[int], every: int) -> Group:
    state = scalarizer.init()
    if stacks(scalarizer):
        state = type(state)(*(_repeated(field, len(members)) for field in state))
    return Group(scalarizer, tuple(members), every, state)


def _repeated(field: Tensor, count: int) -> Tensor:
    return field.expand(count, *field.shape)

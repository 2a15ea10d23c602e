"""A rollout log in one form: steps, prompts and rewards, a row a completion."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


def run_ends(values: Tensor) -> list[int]:
    """Where each run of equal neighbours of (N,) ends, with a byte a row (`unique` takes many)."""
    if not len(values):
        return []
    turns: list[int] = (values[1:] != values[:-1]).nonzero()[:, 0].add(1).tolist()
    return [*turns, len(values)]


@dataclass(frozen=True, eq=False)
class Log:
    """Completions with their rewards, ordered by step; rows without a group are left out.

    `read_log` makes it from files and frames.
    """

    step: Tensor
    """(N,) int64, ascending."""
    prompt: Tensor
    """(N,) int64: number of the prompt in `labels`. Rows of one step and prompt are a group."""
    rewards: Tensor
    """(N, M) float64; NaN where a reward had no opinion."""
    names: tuple[str, ...]
    """M rewards."""
    labels: tuple[Hashable, ...]
    """Prompts or group ids as the log wrote them."""
    advantage: Tensor | None = None
    """(N,) float64 as it was trained on; None where the log has none."""
    length: Tensor | None = None
    """(N,) float64 of each completion; None where unknown."""
    format: str = "object"
    """What the log was taken for."""
    length_unit: str = "tokens"
    """"tokens" or "characters"."""
    notes: tuple[str, ...] = ()
    """What was guessed, and what was left out: a sentence each."""

    def __len__(self) -> int:
        """Completions."""
        return len(self.step)

    @property
    def steps(self) -> tuple[int, ...]:
        """(S,) distinct steps, ascending."""
        return tuple(step for step, _ in self.by_step())

    def by_step(self) -> Iterator[tuple[int, slice]]:
        """Yield each step and its rows."""
        start = 0
        for stop in run_ends(self.step):
            yield int(self.step[start]), slice(start, stop)
            start = stop

    def last(self, steps: int) -> "Log":
        """Only the last so many steps."""
        kept = self.steps[-steps:]
        start = int(torch.searchsorted(self.step, kept[0]))
        return self.rows(slice(start, None))

    def rows(self, rows: slice) -> "Log":
        """Only these rows."""
        one, other = (None if x is None else x[rows] for x in (self.advantage, self.length))
        return Log(
            self.step[rows],
            self.prompt[rows],
            self.rewards[rows],
            self.names,
            self.labels,
            one,
            other,
            self.format,
            self.length_unit,
            self.notes,
        )

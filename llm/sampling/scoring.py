"""Rewards of completions: every objective's column, checked before anything uses it."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.llm.rewards import RewardState, load_reward, parse_reward
from covlaw.llm.rewards.state import as_scores
from covlaw.llm.rewards.worker import RewardTimeoutError, worker_of
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import Spec

LARGEST = 1e18
"""Of a reward: squares of greater ones leave float32."""
SECONDS = 60.0
"""Default time limit of a user's reward on one batch."""

SHOWN = 300
"""Characters of a completion in an error message."""


class Scored(NamedTuple):
    """What a reward is given of some completions."""

    text: list[str]
    references: list[str]
    lengths: Tensor
    state: RewardState

    def only(self, row: int) -> "Scored":
        """Keep one completion."""
        return Scored(
            [self.text[row]], [self.references[row]], self.lengths[row : row + 1], self.state
        )

    def show(self, row: int) -> str:
        """Name one completion in a message."""
        text = self.text[row]
        cut = f"{text[:SHOWN]!r}…" if len(text) > SHOWN else repr(text)
        return f"completion {cut} (reference {self.references[row]!r})"


Column = Callable[[Scored], Tensor]


class Rewards:
    """The reward functions of a run.

    A user's own run in processes of their own, which end when time is up; ours are called here,
    since each bounds its own time.

    Args:
        entries: "name", "module:function" or "path/to/file.py:function", any of them after
            "shown name=".
        seconds: Time limit of a user's function on one batch; 0: none, and it is called in this
            process, where a debugger reaches it.

    Raises:
        CovlawError: naming a reward that is unknown or cannot be imported.
    """

    def __init__(self, entries: Sequence[str], seconds: float = SECONDS) -> None:
        specs = [parse_reward(entry) for entry in entries]
        self.names, self.seconds = tuple(spec.name for spec in specs), seconds
        self.columns = [_column(spec, seconds) for spec in specs]

    def __call__(
        self, completions: Completions, problems: Sequence[Problem], state: RewardState
    ) -> Tensor:
        """Score completions of `problems` (one a prompt): (N, M) float64.

        Raises:
            CovlawError: naming the reward and the completion if a function fails, takes too long,
                or returns NaN or the wrong number of values.
        """
        references = [problems[i].reference for i in completions.prompt.tolist()]
        scored = Scored(completions.text, references, completions.lengths.to("cpu"), state)
        columns = [
            self._scores(name, column, scored)
            for name, column in zip(self.names, self.columns, strict=True)
        ]
        return torch.stack(columns, 1)

    def _scores(self, name: str, column: Column, scored: Scored) -> Tensor:
        try:
            found = column(scored)
        except Exception as error:
            where, reason = self._culprit(column, scored, error)
            raise CovlawError(f"reward {name!r} failed on {where}: {_words(reason)}") from error
        return _check(name, found, scored)

    def _culprit(self, column: Column, scored: Scored, error: Exception) -> tuple[str, Exception]:
        """Find the completion that fails alone, within about the time of one more batch."""
        end = None
        for row in range(len(scored.text)):
            try:
                column(scored.only(row))
            except Exception as own:
                return scored.show(row), own
            # the first call may have started a process anew: count from its end
            end = end or time.monotonic() + (self.seconds or SECONDS)
            if time.monotonic() > end:
                break
        batch = f"a batch of {len(scored.text)} completions"
        first = f" (none fails alone in time; the first is {scored.show(0)})" if scored.text else ""
        return batch + first, error


def _column(spec: Spec, seconds: float) -> Column:
    if spec.own and seconds:
        worker = worker_of(spec.place)
        worker.find(spec.target)
        return lambda scored: worker.score(spec.target, *scored, seconds=seconds)
    function = load_reward(spec.target)
    return lambda scored: as_scores(function(*scored))


def _words(error: Exception) -> str:
    if isinstance(error, RewardTimeoutError):
        return f"{error} (setting reward_seconds); its process was ended"
    return str(error) if isinstance(error, CovlawError) else f"{type(error).__name__}: {error}"


def _check(name: str, column: Tensor, scored: Scored) -> Tensor:
    if column.shape != (len(scored.text),):
        first = f", the first of them {scored.show(0)}" if scored.text else ""
        raise CovlawError(
            f"reward {name!r} returned shape {tuple(column.shape)} for {len(scored.text)} "
            f"completions{first}: return one number each"
        )
    bad = ~torch.isfinite(column)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(f"reward {name!r} is {float(column[row])} on {scored.show(row)}")
    if (column.abs() > LARGEST).any():
        row = int(column.abs().argmax())
        raise CovlawError(
            f"reward {name!r} is {float(column[row]):g} on {scored.show(row)}: scale it below "
            f"{LARGEST:g}, whose square float32 still holds"
        )
    return column

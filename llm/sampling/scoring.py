"""Rewards of completions: every objective's column, checked before anything uses it."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.llm.rewards import RewardState, load_reward, parse_reward
from covlaw.llm.rewards.calling import Opinions, RewardBatch, call
from covlaw.llm.rewards.signature import missing_words, style_of
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


def show(batch: RewardBatch, row: int) -> str:
    """Name one completion in a message."""
    text = batch.completions[row]
    cut = f"{text[:SHOWN]!r}…" if len(text) > SHOWN else repr(text)
    return f"completion {cut} (reference {batch.references[row]!r})"


class Column(NamedTuple):
    """One reward, wherever it runs."""

    score: Callable[[RewardBatch], Opinions]
    require: Callable[[Sequence[str]], None]
    """Sees that a task with these columns has what it asks for, or raises CovlawError."""


class Rewards:
    """The reward functions of a run.

    A user's own run in processes of their own, which end when time is up; ours are called here,
    since each bounds its own time.  How a function is called: `covlaw.llm.rewards.calling`.

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

    def require(self, problems: Sequence[Problem]) -> None:
        """See that a task has the columns that the rewards ask for.

        Raises:
            CovlawError: naming the reward, what it asks for and what there is.
        """
        names = tuple(columns_of(problems))
        for name, column in zip(self.names, self.columns, strict=True):
            try:
                column.require(names)
            except CovlawError as error:
                raise CovlawError(f"reward {name!r}: {error}") from error

    def __call__(
        self, completions: Completions, problems: Sequence[Problem], state: RewardState
    ) -> Tensor:
        """Score completions of `problems` (one a prompt): (N, M) float64, NaN for no opinion.

        Raises:
            CovlawError: naming the reward and the completion if a function fails, takes too long,
                or returns NaN or the wrong number of values.
        """
        asked = [problems[i] for i in completions.prompt.tolist()]
        scored = RewardBatch(
            completions.text,
            [problem.reference for problem in asked],
            completions.lengths.to("cpu"),
            state,
            [problem.asked for problem in asked],
            {name: [p.columns.get(name) for p in asked] for name in columns_of(problems)},
        )
        columns = [
            self._scores(name, column, scored)
            for name, column in zip(self.names, self.columns, strict=True)
        ]
        return torch.stack(columns, 1)

    def _scores(self, name: str, column: Column, scored: RewardBatch) -> Tensor:
        try:
            found = column.score(scored)
        except Exception as error:
            where, reason = self._culprit(column, scored, error)
            raise CovlawError(f"reward {name!r} failed on {where}: {_words(reason)}") from error
        return _check(name, found, scored)

    def _culprit(
        self, column: Column, scored: RewardBatch, error: Exception
    ) -> tuple[str, Exception]:
        """Find the completion that fails alone, within about the time of one more batch."""
        end = None
        for row in range(len(scored.completions)):
            try:
                column.score(scored.only(row))
            except Exception as own:
                return show(scored, row), own
            # the first call may have started a process anew: count from its end
            end = end or time.monotonic() + (self.seconds or SECONDS)
            if time.monotonic() > end:
                break
        batch = f"a batch of {len(scored.completions)} completions"
        if scored.completions:
            batch += f" (none fails alone in time; the first is {show(scored, 0)})"
        return batch, error


def columns_of(problems: Sequence[Problem]) -> dict[str, None]:
    """Names of all columns that any of the problems has, in order."""
    return {name: None for problem in problems for name in problem.columns}


def _column(spec: Spec, seconds: float) -> Column:
    if spec.own and seconds:
        worker = worker_of(spec.place)
        worker.find(spec.target)
        return Column(
            lambda scored: worker.score(spec.target, scored, seconds),
            lambda columns: worker.find(spec.target, columns),
        )
    function = load_reward(spec.target)

    def require(columns: Sequence[str]) -> None:
        style = style_of(function, columns)
        if style.missing:
            raise CovlawError(missing_words(style, columns))

    return Column(lambda scored: call(function, scored), require)


def _words(error: Exception) -> str:
    if isinstance(error, RewardTimeoutError):
        return f"{error} (setting reward_seconds); its process was ended"
    return str(error) if isinstance(error, CovlawError) else f"{type(error).__name__}: {error}"


def _check(name: str, found: Opinions, scored: RewardBatch) -> Tensor:
    """Numbers of a column, NaN where it has no opinion and nowhere else."""
    texts = scored.completions
    silent = [] if isinstance(found, Tensor) else [k for k, v in enumerate(found) if v is None]
    column = (
        found
        if isinstance(found, Tensor)
        else torch.tensor([v or 0.0 for v in found], dtype=torch.float64)
    )
    if column.shape != (len(texts),):
        first = f", the first of them {show(scored, 0)}" if texts else ""
        raise CovlawError(
            f"reward {name!r} returned shape {tuple(column.shape)} for {len(texts)} "
            f"completions{first}: return one number each"
        )
    bad = ~torch.isfinite(column)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(f"reward {name!r} is {float(column[row])} on {show(scored, row)}")
    if (column.abs() > LARGEST).any():
        row = int(column.abs().argmax())
        raise CovlawError(
            f"reward {name!r} is {float(column[row]):g} on {show(scored, row)}: scale it below "
            f"{LARGEST:g}, whose square float32 still holds"
        )
    column[silent] = torch.nan
    return column

"""Time for a batch of hard questions, and the count of those that were cut."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

BATCH_SECONDS = 30.0
"""CPU time for comparing the answers of one batch; ordinary ones take a fraction of a second."""


class OutOfTimeError(Exception):
    """A question took longer than a question may."""


class OutOfBudgetError(Exception):
    """A batch's time is used up; the question itself may be an ordinary one."""


@dataclass
class Budget:
    """What is left of a batch's time, in seconds."""

    left: float


@dataclass
class Cuts:
    """How many answers were refused because time was up."""

    count: int = 0


_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)
_cuts: ContextVar[Cuts | None] = ContextVar("cuts", default=None)


@contextmanager
def batch(seconds: float | None = None) -> Iterator[Budget]:
    """Share `seconds` (default `BATCH_SECONDS`) among all questions asked inside."""
    token = _budget.set(Budget(BATCH_SECONDS if seconds is None else seconds))
    try:
        yield current() or Budget(0.0)
    finally:
        _budget.reset(token)


def current() -> Budget | None:
    """The budget that holds now; None outside a batch."""
    return _budget.get()


@contextmanager
def spending() -> Iterator[None]:
    """Take this thread's own CPU time off the batch's.

    Raises:
        OutOfBudgetError: where nothing is left to begin with.
    """
    shared, started = current(), time.thread_time()
    if shared is not None and shared.left <= 0:
        raise OutOfBudgetError
    try:
        yield
    finally:
        if shared is not None:
            shared.left -= time.thread_time() - started


@contextmanager
def counting() -> Iterator[Cuts]:
    """Count the answers that are cut inside."""
    token = _cuts.set(Cuts())
    try:
        yield _cuts.get() or Cuts()
    finally:
        _cuts.reset(token)


def cut() -> None:
    """One more answer was cut."""
    counted = _cuts.get()
    if counted is not None:
        counted.count += 1

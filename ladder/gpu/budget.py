"""Time: a budget that stops work between steps, and lines that say how far it is."""

import sys
import time
from collections.abc import Callable

from covlaw.theory._numerics.errors import CovlawError

EVERY = 10.0
"""Seconds between lines, unless a step takes longer."""


class TimeIsUpError(CovlawError):
    """The time budget does not hold one more step."""


def ended_by_budget(error: BaseException) -> bool:
    """Whether an error says no more than that time is up, possibly with where work stands."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeIsUpError):
            return True
        cause = cause.__cause__
    return False


class Budget:
    """Minutes that a command may work.

    Args:
        minutes: From now on.
        clock: Seconds; replaced in tests.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.minutes, self.clock = minutes, clock
        self.deadline = clock() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - self.clock()


class Steps:
    """Progress of one piece of work: a line now and then, and a stop in time.

    Args:
        what: Named at the start of each line.
        budget: That this work shares with what came before.
        say: Takes a line.
    """

    def __init__(self, what: str, budget: Budget, say: Callable[[str], None] | None = None) -> None:
        self.what, self.budget, self.say = what, budget, say or _print
        self.begun = self.before = budget.clock()
        self.first: int | None = None
        self.longest, self.said = 0.0, -EVERY

    def __call__(self, done: int, total: int, news: str) -> None:
        """Note a step that is done.

        Raises:
            TimeIsUpError: if what is left of the budget is shorter than the longest step so far.
        """
        now = self.budget.clock()
        self.longest, self.before = max(self.longest, now - self.before), now
        self.first = done - 1 if self.first is None else self.first
        if now - self.said >= EVERY or done == total:
            left = (now - self.begun) / (done - self.first) * (total - done)
            self.said = now
            self.say(f"{self.what}: {done} of {total}, {left / 60:.1f} min left, {news}")
        if done < total and self.budget.left < self.longest:
            raise TimeIsUpError(f"the time budget of {self.budget.minutes:g} minutes is used up")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

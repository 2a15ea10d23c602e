"""Which steps are audited: every so many, or as many as a share of the run's time pays for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from covlaw.theory._numerics.errors import CovlawError


class Schedule:
    """Keeps the time that audits take to a share of the training's.

    The first step is audited in any case, so that a short run costs more.

    Args:
        every: Steps from one audit to the next, or "auto".
        cost: Seconds of audits for each second of training, for "auto".
        now: Clock in seconds.

    Raises:
        CovlawError: on other values.
    """

    def __init__(
        self, every: int | str, cost: float, now: Callable[[], float] = perf_counter
    ) -> None:
        if every != "auto" and (not isinstance(every, int) or every < 1):
            raise CovlawError(f"every={every!r}: give a number of steps from 1 up, or 'auto'")
        if not cost > 0:
            raise CovlawError(f"cost={cost}: give a share of the training time above 0, e.g. 0.1")
        self.every, self.cost, self.now = every, cost, now
        self.begun, self.spent, self.audits = now(), 0.0, 0

    def begin(self) -> None:
        """Start the clock."""
        self.begun, self.spent, self.audits = self.now(), 0.0, 0

    def due(self, step: int) -> bool:
        """Whether a step, from 0, is to be audited."""
        if self.every != "auto":
            return step % int(self.every) == 0
        if not self.audits:
            return True
        trained = self.now() - self.begun - self.spent
        return self.spent * (1 + 1 / self.audits) <= self.cost * trained

    @contextmanager
    def auditing(self, first: bool = True) -> Iterator[None]:
        """Count the time of an audit, in one part or several; `first`: it begins here."""
        start = self.now()
        self.audits += first
        try:
            yield
        finally:
            self.spent += self.now() - start

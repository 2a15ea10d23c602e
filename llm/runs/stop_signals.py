"""SIGTERM and SIGHUP, which batch schedulers send before they kill: a run stops in good order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal told the run to stop.

    Args:
        number: Of the signal.
        word: Where the run stands, and how to continue.
    """

    def __init__(self, number: int, word: str = "") -> None:
        name = signal.Signals(number).name
        super().__init__(f"told to stop by {name}" + (f" ({word})" if word else ""))
        self.number = number


@contextmanager
def stop_signals(alone: bool = True) -> Iterator[Callable[[], int]]:
    """Note a first such signal instead of dying of it; a second one ends the process as ever.

    Yields what says the signal that came, 0 for none. Signals that are ignored (`nohup`) or that
    somebody else handles are left alone, and so are all outside of the main thread or where the
    run has other processes, of which a launcher takes care (`covlaw.llm.distributed`).
    """
    came = 0

    def note(number: int, _: Any) -> None:
        nonlocal came
        came = number
        signal.signal(number, signal.SIG_DFL)

    main = alone and threading.current_thread() is threading.main_thread()
    ours = [n for n in SIGNALS if main and signal.getsignal(n) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

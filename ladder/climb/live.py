"""The live table of a climbing ladder; plain lines where there is no terminal."""

import time
from collections.abc import Callable

from rich.console import Group
from rich.live import Live
from rich.text import Text

from covlaw.ladder.climb.matrix import counts
from covlaw.ladder.climb.state import ClimbState
from covlaw.ladder.progress import QUIET_SECONDS, duration
from covlaw.ladder.screen import Console


class Display:
    """Shows a ladder's state while it climbs.

    Args:
        console: Where to.
        jobs: Processes at a time, for the ETA.
    """

    def __init__(self, console: Console, jobs: int) -> None:
        self.console, self.jobs = console, jobs
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last_line = 0.0

    def __enter__(self) -> Callable[[ClimbState], None]:
        if self.console.is_terminal:
            self._live.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def show(self, state: ClimbState) -> None:
        """Refresh."""
        if self.console.is_terminal:
            self._live.update(_table(state, self.jobs), refresh=True)
        elif time.perf_counter() - self._last_line > QUIET_SECONDS:
            self._last_line = time.perf_counter()
            self.console.print(Text(_line(state, self.jobs)), soft_wrap=True)


def _table(state: ClimbState, jobs: int) -> Group:
    table = counts(state.verdicts.values(), state.settings.rungs)
    running = [Text(f"  ▸ {_job(state, name)}") for name in state.running]
    return Group(table, Text(), *running, Text(_clock(state, jobs), style="dim"))


def _line(state: ClimbState, jobs: int) -> str:
    running = ", ".join(_job(state, name) for name in state.running)
    return f"{_clock(state, jobs)}: {_so_far(state)}  [{running}]"


def _so_far(state: ClimbState) -> str:
    refuted = [v["id"] for v in state.verdicts.values() if v["status"] == "refuted"]
    return f"{len(state.verdicts)} verdicts, refuted: {', '.join(refuted) or 'none'}"


def _clock(state: ClimbState, jobs: int) -> str:
    return f"{duration(state.elapsed)} gone, about {duration(state.remaining(jobs))} to go"


def _job(state: ClimbState, name: str) -> str:
    progress = state.training(name)
    if progress is None:
        return name
    done, total, record = progress
    means = zip(record["objectives"], record["reward_mean"], strict=True)
    return f"{name} {done}/{total} " + " ".join(f"{o[:12]} {m:.2f}" for o, m in means)

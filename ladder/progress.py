"""How far one long piece of work is, with the time left: a bar, or plain lines off a terminal."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from covlaw.ladder.screen import Console

Show = Callable[[int, int, str], None]
"""(done, in all, the newest word)."""

QUIET_SECONDS = 20
"""Between lines where there is no terminal."""
MEMORY = 3600.0
"""Seconds of work that the estimate of the time left goes by: steps may take minutes."""


@contextmanager
def progress(what: str, bar: Progress | None = None) -> Iterator[Show]:
    """Show a bar while the body runs; what it yields is called with each advance.

    The time left is estimated from what happens here: work that an earlier process did, and a
    first step that warms up, count as done but not as fast. Off a terminal there are lines.
    """
    console = Console(stderr=True)
    if bar is None and not console.is_terminal:
        yield lines(what, console)
        return
    with bar or make_bar(console) as shown:
        task = shown.add_task(what, total=None, news="")

        def show(done: int, total: int, news: str) -> None:
            if shown.tasks[0].total is None:
                shown.reset(task, completed=done, total=total, news=news)
            else:
                shown.update(task, completed=done, total=total, news=news)

        yield show


def lines(what: str, console: Console, clock: Callable[[], float] = time.monotonic) -> Show:
    """Say how far the work is, a line at most every `QUIET_SECONDS`."""
    said, first = clock(), list[tuple[float, int]]()

    def show(done: int, total: int, news: str) -> None:
        nonlocal said
        now = clock()
        first.append((now, done))
        del first[1:]
        if now - said < QUIET_SECONDS:
            return
        said, (begun, before) = now, first[0]
        left = (now - begun) / (done - before) * (total - done) if done > before else None
        line = f"{what}: {done} of {total}, about {duration(left)} to go  {news}"
        console.print(Text(line), soft_wrap=True)

    return show


def duration(seconds: float | None) -> str:
    """Return minutes and seconds, or "…" while there is nothing to judge by."""
    return "…" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def make_bar(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """Build a bar: what, steps done and in all, time left, news."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[news]}", markup=False),
        console=console or Console(stderr=True),
        transient=True,
        speed_estimate_period=MEMORY,
        get_time=clock,
    )


def training_news(record: Mapping[str, Any]) -> str:
    """Say a training step in a line: mean rewards and tokens a second."""
    means = zip(record["objectives"], record["reward_mean"], strict=True)
    speed = record["tokens"] / max(record["seconds"], 1e-9)
    return "  ".join([*(f"{name} {mean:.2f}" for name, mean in means), f"{speed:,.0f} tokens/s"])

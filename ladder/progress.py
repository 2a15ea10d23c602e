"""A progress bar with an estimate of the time left, for one long piece of work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Show = Callable[[int, int, str], None]
"""(done, in all, the newest word)."""


@contextmanager
def progress(what: str) -> Iterator[Show]:
    """Show a bar while the body runs; what it yields is called with each advance."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[news]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, news="")

        def show(done: int, total: int, news: str) -> None:
            bar.update(task, completed=done, total=total, news=news)

        yield show

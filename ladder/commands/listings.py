"""`covlaw scalarizers`, `losses`, `tasks`, `statements`, …: names, a line about each.

Nothing of what is listed is imported: the lines are read from the sources.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from covlaw.ladder.screen import Console
from covlaw.theory._numerics.plugins import Listed, Registry
from covlaw.theory._numerics.sources import assigned_texts, source_of

_THEORY = {"theory": "covlaw.theory.statements._support.random_instances:RUNG"}


def scalarizers() -> None:
    """List the scalarizers, from several rewards to one signal, a line each."""
    from covlaw.theory.scalarizers import SCALARIZERS

    _show(SCALARIZERS)


def losses() -> None:
    """List the policy losses, a line each."""
    from covlaw.theory.losses.names import LOSSES

    _show(LOSSES)


def tasks() -> None:
    """List the tasks, where prompts and reference answers come from, a line each."""
    from covlaw.llm.tasks import TASKS

    _show(TASKS)


def rewards() -> None:
    """List the rewards of completions, a line each."""
    from covlaw.llm.rewards import REWARDS

    _show(REWARDS)


def engines() -> None:
    """List the sampling engines, a line each."""
    from covlaw.llm.config.engine_checks import ENGINES

    _show(ENGINES)


def rungs() -> None:
    """List the rungs, where statements get their instances, a line each."""
    _show(Registry("rung", "covlaw.rungs", _THEORY))


def statements() -> None:
    """List the statements, what is claimed, a line each (`covlaw check ID -v` says more)."""
    _show(Registry("statement", "covlaw.statements", {}), sorted(_titles(), key=_letter_and_number))


def _titles() -> Iterator[Listed]:
    package = source_of("covlaw.theory.statements")
    assert package is not None  # noqa: S101 (a part of this package)
    for file in package.parent.glob("*/[!_]*.py"):
        if texts := assigned_texts(file, "STATEMENT"):
            yield Listed(texts["id"], texts["title"], file.parent.name)


def _letter_and_number(line: Listed) -> tuple[int, int]:
    return "TEF".index(line.name[0]), int(line.name[1:])


def _show(registry: "Registry[Any]", ours: Iterable[Listed] = ()) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, about, source in (*ours, *registry.listed()):
        table.add_row(Text(name, style="bold", no_wrap=True), Text(about), Text(source))
    console = Console()
    console.print(table)
    console.print(
        "Your own: path/to/file.py:NAME or module:NAME in place of a name, or the entry-point "
        f"group {registry.group} of a package (CONTRIBUTING.md).",
        style="dim",
        highlight=False,
    )

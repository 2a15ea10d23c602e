"""`covlaw scalarizers`, `losses`, `tasks`, `rewards`, `engines`: names, a line about each.

Nothing of what is listed is imported: the lines are read from the sources.
"""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from covlaw.theory._numerics.plugins import Registry


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


def _show(registry: "Registry[Any]") -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, about, source in registry.listed():
        table.add_row(Text(name, style="bold", no_wrap=True), Text(about), Text(source))
    console = Console()
    console.print(table)
    console.print(
        "Your own: path/to/file.py:NAME or module:NAME in place of a name, or the entry-point "
        f"group {registry.group} of a package (CONTRIBUTING.md).",
        style="dim",
        highlight=False,
    )

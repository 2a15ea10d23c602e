"""`covlaw find`: the smallest counterexample to a plausible claim, in exact arithmetic."""

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.status import Status
from rich.table import Table
from rich.text import Text

from covlaw.ladder.exit_codes import FAILED
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.sources import assigned_texts, source_of

if TYPE_CHECKING:
    from covlaw.theory.statements import Found


def find(claim: Annotated[str, tyro.conf.Positional] = "", seconds: float = 60.0) -> int:
    """Print the smallest rational counterexample to a plausible but false claim.

    Args:
        claim: An id (F1 … F18) or words of the claim, e.g. "natural gradient"; none: list them.
        seconds: Give up after so long.
    """
    console = Console()
    if not claim:
        console.print(_listing())
        return 0
    if not seconds > 0:
        raise CovlawError(f"seconds is {seconds}: use a number > 0")
    with stoppable():
        from covlaw.theory.statements import find_claim, smallest

    wanted = find_claim(claim)
    with Status(f"searching {wanted.id}", console=Console(stderr=True)) as status:
        found = smallest(wanted, seconds, lambda n: status.update(f"{wanted.id}: {n:,} cases"))
    if found is None:
        console.print(f"{wanted.id}: nothing found in {seconds:g} s; give more with --seconds")
        return FAILED
    _show(console, found)
    return 0


def _listing() -> Table:
    """Every claim; its words are read from the sources, as importing all statements takes long."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("plausible, but false")
    package = source_of("covlaw.theory.statements.false_claims")
    assert package is not None  # noqa: S101 (a part of this package)
    found = [assigned_texts(file, "CLAIM") for file in package.parent.glob("[!_]*.py")]
    for claim in sorted(filter(None, found), key=lambda claim: int(claim["id"][1:])):
        table.add_row(claim["id"], claim["sentence"])
    return table


def _show(console: Console, found: "Found") -> None:
    claim, contrast = found.claim, found.contrast
    console.print(Text(f"{claim.id}  “{claim.sentence}” is false", style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in found.case.items():
        table.add_row(name, Text(exact(value)))
    table.add_row("forecast", Text(f"{claim.forecast} = {_number(contrast.forecast)}"))
    table.add_row("outcome", Text(f"{claim.outcome} = {_number(contrast.outcome)}"))
    if contrast.remark:
        table.add_row("and", Text(contrast.remark))
    table.add_row("smallest", Text(f"case {found.searched:,} by {claim.order}"))
    console.print(table)


def exact(value: Any) -> str:
    """Write rationals, and tuples of them, as a reader would."""
    if isinstance(value, tuple):
        return f"({', '.join(exact(v) for v in value)})"
    return str(value)


def _number(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{value} ≈ {float(value):+.4g}"

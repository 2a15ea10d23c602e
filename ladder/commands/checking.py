"""What `covlaw check` prints: measured against predicted, and the false variant."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.progress import track
from rich.table import Table
from rich.text import Text

from covlaw.ladder.climb.matrix import mark_of
from covlaw.ladder.commands.statement_words import describe
from covlaw.ladder.screen import Console
from covlaw.records.outcomes import OUTCOMES, outcome
from covlaw.theory.statements import STATEMENTS, Statement, Verdict, find
from covlaw.theory.statements.checking import Examination, examine, not_applicable
from covlaw.theory.statements.checking import verdict as to_verdict
from covlaw.theory.statements.registry import OUTSIDE

_SHORT = {
    OUTCOMES["exact"]: "holds",
    OUTCOMES["sampled"]: "holds",
    OUTCOMES["estimator"]: "estimator",
}
"""What the table has room for, beside the symbol."""
FEW = 4
"""Up to so many statements are described above their table."""


def show_checks(
    ids: tuple[str, ...],
    rung: str,
    instances: int | None,
    seed: int,
    proof: bool,
    verbose: bool,
) -> int:
    """Check the statements and print what was found; 1 if any is refuted."""
    statements = [find(id) for id in ids] or [*STATEMENTS.values(), *OUTSIDE.values()]
    by_id = {statement.id: statement for statement in statements}
    console = Console()
    watched = track(
        statements, "checking", console=Console(stderr=True), transient=True, disable=len(ids) == 1
    )
    verdicts = []
    for statement in watched:
        verdict, found = _checked(statement, rung, seed, instances)
        verdicts.append(verdict)
        if verbose:
            describe(console, statement, verdict, found, _where(rung, seed, instances))
    if not verbose and len(ids) in range(1, FEW + 1):
        _introduce(console, verdicts, by_id)
    if not verbose or len(verdicts) > 1:
        console.print(_table(verdicts))
    if len(verdicts) > FEW:
        console.print(_summary(verdicts))
    if proof and not verbose:
        _show_proofs(console, statements)
    return 1 if any(v.status == "refuted" for v in verdicts) else 0


def _checked(
    statement: Statement, rung: str, seed: int, instances: int | None
) -> tuple[Verdict, Examination | None]:
    reason = not_applicable(statement, rung)
    if reason is not None:
        return Verdict(statement.id, rung, statement.kind, "not_applicable", note=reason), None
    found = examine(statement, rung, seed, instances)
    return to_verdict(statement, rung, found), found


def _where(rung: str, seed: int, instances: int | None) -> str:
    how_many = "its default instances" if instances is None else f"{instances:,} instances"
    return f"rung {rung}, seed {seed}, {how_many}"


def _summary(verdicts: list[Verdict]) -> str:
    counts = Counter(outcome(asdict(verdict)) for verdict in verdicts)
    words = ", ".join(f"{n} {OUTCOMES[key]}" for key, n in counts.most_common())
    comparisons = sum(verdict.n for verdict in verdicts)
    return f"{words}; {comparisons:,} comparisons"


def _table(verdicts: list[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "verdict", "measured", "predicted", "tolerance", "n", "tightness"):
        table.add_column(name, justify="left" if name in ("", "verdict") else "right", no_wrap=True)
    table.add_column("control", no_wrap=True)
    for verdict in verdicts:
        mark = mark_of(asdict(verdict))
        control = verdict.negative_control
        table.add_row(
            verdict.id,
            Text(f"{mark.symbol} {_SHORT.get(mark.word, mark.word)}", style=mark.style),
            *(_number(x) for x in (verdict.measured, verdict.predicted)),
            _number(verdict.tolerance, 1),
            str(verdict.n or ""),
            _number(verdict.tightness),
            Text(_control(control) if control else ""),
        )
    return table


def _control(control: dict[str, Any]) -> str:
    return "refuted" if control["refuted"] else "NOT refuted"


def _introduce(console: Console, verdicts: list[Verdict], by_id: dict[str, Statement]) -> None:
    """Say what a few statements claim, and what their false variants are."""
    for verdict in verdicts:
        statement = by_id[verdict.id]
        console.print(Text(f"{statement.id}  {statement.title}", style="bold"))
        console.print(Text(f"    {statement.formula}"))
        console.print(Text(f"    assumes: {'; '.join(statement.assumptions)}"))
        for control in statement.controls:
            console.print(Text(f"    control: {control.name}"))
        if verdict.note:
            console.print(Text(f"    note: {verdict.note}"))
    console.print()


def _show_proofs(console: Console, statements: list[Statement]) -> None:
    for statement in statements:
        for proved in statement.proofs() if statement.proofs else []:
            console.print(Text(f"{statement.id}  {proved.claim}: residual {proved.residual}"))


def _number(value: float | None, digits: int = 6) -> str:
    return "" if value is None else f"{value:.{digits}g}"

"""One statement in full, for someone who has not read the paper (`covlaw check T38 -v`)."""

from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill

from rich.text import Text

from covlaw.ladder.climb.matrix import mark_of
from covlaw.ladder.screen import Console
from covlaw.theory.statements import Statement, Verdict
from covlaw.theory.statements.base import Kind
from covlaw.theory.statements.checking import Examination
from covlaw.theory.statements.judge import Judgement
from covlaw.theory.statements.registry import file_of

CLAIM: dict[Kind, str] = {
    "identity": "both sides are equal",
    "bound": "the measured side never exceeds the predicted one",
    "sign": "the two sides never have opposite signs",
    "counterexample": "what happens is the opposite of what the false claim forecasts",
}
LABEL = 11
"""Width of the left column."""


def describe(
    console: Console,
    statement: Statement,
    verdict: Verdict,
    found: Examination | None,
    checked: str,
) -> None:
    """Print a statement, both of its sides and its false variant.

    Args:
        console: Where to.
        statement: What was checked.
        verdict: The outcome.
        found: Both judgements; None where the statement is not applicable.
        checked: On which rung, seed and instances.
    """
    console.print(Text(f"{statement.id}  {statement.title}", style="bold"))
    for label, words in _lines(statement, verdict, found, checked):
        console.print(_row(label, words, console.width))
    mark = mark_of(asdict(verdict))
    console.print(Text(f"{'verdict':<{LABEL}}{mark.symbol} {mark.word}", style=mark.style))
    console.print()


def _lines(
    statement: Statement, verdict: Verdict, found: Examination | None, checked: str
) -> Iterator[tuple[str, str]]:
    yield "", statement.explanation
    yield "formula", statement.formula
    for k, assumption in enumerate(statement.assumptions):
        yield "" if k else "assumes", f"• {assumption}"
    yield "source", statement.source
    yield "file", file_of(statement.id)
    if found is None:
        yield "checked", verdict.note
        return
    yield "judged", CLAIM[statement.kind]
    yield "checked", f"{checked}: {_outcome(found.own)}"
    for control, judgement in zip(statement.controls, found.controls, strict=True):
        yield "control", f"“{control.name}”: {_refutation(judgement)}"
    for proof in found.proofs:
        yield "proof", f"{proof.claim}: residual {proof.residual}"
    for k, remark in enumerate(statement.remarks() if statement.remarks else ()):
        yield "" if k else "measured", remark
    if verdict.status != "holds":
        yield "note", verdict.note


def _outcome(own: Judgement | None) -> str:
    if own is None:
        return "no instance met the assumptions"
    words = f"{own.n:,} comparisons, {own.violations:,} violations; closest call {_both(own)}"
    if own.tightness is not None:
        words += f"; the bound is reached to {own.tightness:.4%}"
    return words


def _refutation(control: Judgement | None) -> str:
    if control is None:
        return "no instance to refute it on"
    if not control.violations:
        return f"NOT refuted by {control.n:,} comparisons"
    share = f"refuted by {control.violations:,} of {control.n:,} comparisons"
    return f"{share}, the worst {_both(control)}"


def _both(judgement: Judgement) -> str:
    sides = f"measured {judgement.measured:.6g}, predicted {judgement.predicted:.6g}"
    return f"{sides} (tolerance {judgement.tolerance:.1g})"


def _row(label: str, words: str, width: int) -> Text:
    hanging = " " * LABEL
    first = f"{label:<{LABEL}}"
    lines = fill(
        words,
        max(width, 60),
        initial_indent=first,
        subsequent_indent=hanging,
        break_long_words=False,  # a path must be copied whole
    )
    return Text(lines)

"""`covlaw llm audit`: the verdict of one or several runs, as tables and as JSON."""

from collections.abc import Iterable
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from covlaw.ladder.commands.llm.settings import require_llm
from covlaw.ladder.progress import progress
from covlaw.ladder.tables import Rows, console
from covlaw.ladder.terminal import stoppable

if TYPE_CHECKING:
    from covlaw.records.verdict.rows import Estimate
    from covlaw.records.verdict.verdict import Agreement, RunVerdict

_TIMES = {"1": "audited step", "1 held-out": "audited step, held-out prompts"}


def audit(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    rows: bool = False,
    json: Path | None = None,
) -> None:
    """Show what the law forecast at the audits, what it diagnosed, and what then happened.

    Args:
        runs: Run folders, judged together.
        rows: Whether to show every audit of several runs; one run's are shown anyway.
        json: File for the whole verdict, every prediction and audit included.
    """
    require_llm()
    with stoppable():
        from covlaw.records.files import to_json, write_text, writing_to
        from covlaw.records.verdict.headline import of_one, of_several
        from covlaw.records.verdict.verdict import run_verdict

    with progress("reading runs") as show:
        verdict = run_verdict(runs, show)
    if json:
        with writing_to(json):
            write_text(json, to_json(verdict.to_dict(), indent=1) + "\n")
    judged = verdict.runs
    words = of_one(judged[0]) if len(judged) == 1 else of_several(judged)
    console().print(words, style="bold", markup=False, soft_wrap=True)
    _show(verdict, rows or len(runs) == 1)
    for run in judged:
        for line in run.penalties:
            console().print(line)


def _show(verdict: "RunVerdict", rows: bool) -> None:
    if rows:
        _titled("Change of each objective in one step, ± standard error clustered by prompt")
        _audits(verdict).show(console())
    _titled("Signs and size: what happened, compared with each prediction")
    _agreement(verdict).show(console())
    _titled("Alarms: falls predicted beyond 3 standard errors, and the step's measured change")
    _alarms(verdict).show(console())
    _titled("Power: change in one step that lies 3 standard errors out of the exact form's noise")
    _power(verdict).show(console())
    _titled("Objectives that fell over a run for certain, and the steps of warning")
    if verdict.falls:
        _falls(verdict).show(console())
    else:
        console().print("none")
    for line in _costs(verdict):
        console().print(line)
    heavy, tails = verdict.heavy_tails
    if tails:
        console().print(
            f"\nImportance ratios had tails too heavy to trust in {heavy} of {tails} audits."
        )
    console().print("What each column means: docs/audits.md", style="dim")


def _titled(title: str) -> None:
    console().print(f"\n{title}", style="bold")


def _audits(verdict: "RunVerdict") -> Rows:
    from covlaw.records.constants import PREDICTION_WORDS, SHOWN_PREDICTIONS

    law, first, exact, own = (PREDICTION_WORDS[name] for name in SHOWN_PREDICTIONS)
    columns = ("run", "step", "objective", law, first, exact, "measured", own)
    table = Rows(columns, {"run", "objective"}, keys=3)
    for pair in verdict.audits:
        forecasts = (pair.forecasts[n] for n in ("law", "first_order", "exact_change"))
        cells = [_estimate(e) for e in (*forecasts, pair.realised)]
        own = f"{pair.forecasts['own_batch'].value:+.3f}"
        table.add(pair.run, str(pair.step), pair.objective, *cells, own)
    return table


def _agreement(verdict: "RunVerdict") -> Rows:
    from covlaw.records.constants import PREDICTION_WORDS

    columns = (
        "over",
        "prediction",
        "sign right",
        "expected",
        "certified",
        "slope",
        "95 %",
        "points",
    )
    table = Rows(columns, {"over", "prediction"}, keys=2)
    for horizon, forecasts in verdict.agreement.items():
        over = _TIMES.get(horizon, f"{horizon} steps")
        for name in _shown(forecasts):
            table.add(over, PREDICTION_WORDS[name], *_agreement_cells(forecasts[name]))
            over = ""
    return table


def _agreement_cells(found: "Agreement") -> Iterable[str]:
    signs, slope = found
    yield f"{signs.agree}/{signs.of}"
    yield f"{signs.expected:.1f}"
    yield f"{signs.agree_certified}/{signs.certified} ({signs.expected_certified:.1f})"
    known = isfinite(slope.error)
    yield f"{slope.value:.2f}±{slope.error:.2f}" if known else "–"
    yield f"{slope.low:.2f} … {slope.high:.2f}" if known else "–"
    yield str(slope.points)


def _alarms(verdict: "RunVerdict") -> Rows:
    from covlaw.records.constants import PREDICTION_WORDS

    columns = ("prediction", "alarms", "confirmed", "false", "undecided", "clear falls", "missed")
    table = Rows(columns, {"prediction"})
    for name in _shown(verdict.alarms):
        table.add(PREDICTION_WORDS[name], *map(str, verdict.alarms[name]))
    return table


def _power(verdict: "RunVerdict") -> Rows:
    columns = ("objective", "3 errors", "beyond them 4 times in 5 from", "certified audits")
    table = Rows(columns, {"objective"})
    for objective, forecasts in verdict.power.items():
        found = forecasts["exact_change"]
        share = f"{found.certified}/{found.of}"
        cells = (f"{found.certified_from:.4f}", f"{found.seen_from:.4f}", share)
        table.add(objective, *cells)
    return table


def _falls(verdict: "RunVerdict") -> Rows:
    from covlaw.records.constants import BASELINE, PREDICTION_WORDS, SHOWN_PREDICTIONS

    shown = (*SHOWN_PREDICTIONS, BASELINE)
    warned = (PREDICTION_WORDS[name] for name in shown)
    columns = ("run", "objective", "change", "lost", "sacrificed", "shows at step", *warned)
    table = Rows(columns, {"run", "objective"}, keys=2)
    for fall in verdict.falls:
        leads = (fall.lead[name] for name in shown)
        cells = ("no warning" if lead is None else f"{lead} ahead" for lead in leads)
        size = (_estimate(fall.change), f"{fall.lost:.0%}", "yes" if fall.sacrificed else "no")
        table.add(fall.run, fall.objective, *size, str(fall.step), *cells)
    return table


def _costs(verdict: "RunVerdict") -> Iterable[str]:
    exact, plain = (verdict.precision[name] for name in ("exact_change", "measured"))
    yield f"\nMedian standard error: exact form {exact:.4f}, difference of fresh means {plain:.4f}."
    found = verdict.pairs["exact_change"]
    why = "nothing differed on one side"
    yield f"Of {found.of} audited changes {found.dropped} have no sign: {why}."


def _shown(forecasts: Iterable[str]) -> list[str]:
    from covlaw.records.constants import SHOWN_PREDICTIONS

    return [name for name in forecasts if name in SHOWN_PREDICTIONS]


def _estimate(found: "Estimate") -> str:
    """With three decimals; 0 has no sign, and an error that nothing showed is left out."""
    if isnan(found.value):
        return "–"
    value = f"{found.value:+.3f}"
    error = f"±{found.error:.3f}" if isfinite(found.error) else ""
    return (value if float(value) else value[1:]) + error

"""An inspection on a terminal: the verdict first, then tables that fit its width."""

from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

from covlaw.ladder.report.filters import change
from covlaw.ladder.screen import Console
from covlaw.ladder.tables import Rows
from covlaw.plugins.inspection.conflicts import alarms, opposed
from covlaw.plugins.inspection.inspection import Inspection
from covlaw.plugins.inspection.signals import COMPARED
from covlaw.plugins.inspection.words import signal_words
from covlaw.records.constants import CLEAR

LAW = (
    "Each reward: its law over all steps, and its law under other advantages (its covariance with "
    "the signal within prompts: below 0, small steps along the signal lower the reward)"
)
SHOWN_STEPS = 12
"""Steps whose law is shown; files have them all."""


def show(found: Inspection, out: Console) -> None:
    """Print what was read, the verdict, and the tables."""
    log = found.log
    out.print(
        f"{log.format}: {len(log):,} completions in {found.scan.tally.groups:,} groups of "
        f"{len(log.steps):,} steps; rewards {', '.join(log.names)}; signal: {signal_words(found)}",
        markup=False,
        highlight=False,
    )
    for note in log.notes:
        out.print(f"note: {note}", markup=False, highlight=False)
    out.print()
    for line in found.headline:
        out.print(f"• {line}", markup=False, highlight=False)
    for title, table in _tables(found):
        out.print(f"\n{title}", style="bold", highlight=False)
        table.show(out)
    out.print("\nWhat each table means: docs/inspect.md", style="dim")


def compare(found: Inspection, other: Inspection, out: Console) -> None:
    """Print the pooled laws of two logs side by side, by the names of their rewards."""
    table = Rows(("reward", "law here", "law there", "difference"), {"reward"})
    laws = [_law(run) for run in (found, other)]
    for name in (n for n in found.log.names if n in other.log.names):
        (one, first), (two, second) = (law[name] for law in laws)
        gap, error = one - two, (first**2 + second**2) ** 0.5
        sure = " clear" if abs(gap) > CLEAR * error else ""
        cells = (_number(one, first), _number(two, second), _number(gap, error) + sure)
        table.add(name, *cells)
    out.print("\nAgainst the other log (law over all steps)", style="bold")
    table.show(out)


def side_by_side(sets: Sequence[Inspection], out: Console) -> None:
    """Print what several sets of weights do to the same samples: the law now, and the end."""
    names = sets[0].log.names
    table = Rows(("weights", "reward", "law", "now", "at the end", "KL"), {"weights", "reward"}, 2)
    for found in sets:
        label = ", ".join(f"{w:.3g}" for w in found.weights.tolist())
        law, error = found.mix.law.tolist(), found.mix.standard_error.tolist()
        tilts = found.ahead.tilts if found.ahead is not None else []
        for j, name in enumerate(names):
            ends = ["–"] * 3
            if tilts:
                last = tilts[-1]
                moved = _number(last.values[j], last.standard_error[j]).removeprefix("+")
                ends = [f"{tilts[0].values[j]:.3f}", moved, f"{last.kl:.2f}"]
            table.add(label, name, _number(law[j], error[j]), *ends)
            label = ""
    out.print("\nWeights side by side (the last are those under which every reward rises most)")
    table.show(out)


def _law(found: Inspection) -> dict[str, tuple[float, float]]:
    pool = found.scan.pool
    estimate, error = pool.estimate()[:, 0].tolist(), pool.standard_error()[:, 0].tolist()
    return dict(zip(found.log.names, zip(estimate, error, strict=True), strict=True))


def _tables(found: Inspection) -> list[tuple[str, Rows]]:
    several, shown = len(found.log.names) > 1, min(SHOWN_STEPS, len(found.scan.laws))
    tables = [
        (LAW, _each(found)),
        (f"Law of the last {shown} steps (* sign certified, ! alarm)", _steps(found)),
    ]
    if several:
        tables.append(("Correlation of the rewards within prompts (! opposed)", _pairs(found)))
    tables.append(("Groups", _groups(found)))
    if found.ahead is not None and len(found.ahead.tilts) > 1:
        title = "Where the weights lead from the last samples: tilts, and best of n by the score"
        tables.append((title, _ahead(found)))
    return tables


def _each(found: Inspection) -> Rows:
    pool, extra = found.scan.pool, found.scan.by_length
    columns = ["reward", "weight", "share of score", "law", *COMPARED]
    table = Rows([*columns, *(["over length"] if extra is not None else [])], {"reward"})
    estimate, error = pool.estimate(), pool.standard_error()
    places = [found.scan.law, *range(1, 1 + len(COMPARED)), *([extra] if extra is not None else [])]
    for j, name in enumerate(found.log.names):
        laws = [_number(float(estimate[j, q]), float(error[j, q])) for q in places]
        share = float(found.mix.share[j])
        table.add(name, f"{float(found.weights[j]):g}", _share(share), *laws)
    return table


def _steps(found: Inspection) -> Rows:
    table = Rows(("step", *found.log.names), set())
    for law in found.scan.laws[-SHOWN_STEPS:]:
        columns = (law.estimate, law.standard_error, law.certified, law.alarm)
        cells = []
        for estimate, error, certified, alarm in zip(*(c.tolist() for c in columns), strict=True):
            mark = "!" if alarm else "*" if certified else " "
            cells.append(_number(estimate, error) + mark)
        table.add(str(law.step), *cells)
    return table


def _pairs(found: Inspection) -> Rows:
    names, bad = found.log.names, {frozenset(pair) for pair in opposed(found)}
    table = Rows(("reward", *names), {"reward"})
    for j, name in enumerate(names):
        cells = []
        for k in range(len(names)):
            value = float(found.correlation[j, k])
            mark = "!" if frozenset((j, k)) in bad else " "
            cells.append(("–" if isnan(value) else f"{value:+.2f}") + mark)
        table.add(name, *cells)
    return table


def _groups(found: Inspection) -> Rows:
    tally, size = found.scan.tally, found.scan.tally.group_size()
    table = Rows(("reward", "does not vary in", "best group size", "alarms"), {"reward"})
    raised = alarms(found)
    for j, name in enumerate(found.log.names):
        dead = float(tally.dead[j] / tally.judged[j].clamp(min=1))
        best = float(size.best[j])
        shown = f"{best:.1f}" if isfinite(best) else "–"
        table.add(name, _share(dead), shown, str(sum(a.reward == j for a in raised)))
    table.add("score", _share(tally.dead_score / max(tally.groups, 1)), f"now {size.now:.3g}", "")
    return table


def _ahead(found: Inspection) -> Rows:
    table = Rows(("along", "KL", *found.log.names), {"along"}, keys=2)
    ahead: Any = found.ahead
    rows = [(f"tilt {p.at:.3g}", p) for p in ahead.tilts]
    rows += [(f"best of {p.at:g}", p) for p in ahead.best]
    for label, point in rows:
        cells = [_number(v, e) for v, e in zip(point.values, point.standard_error, strict=True)]
        table.add(label, f"{point.kl:.2f}", *(c.removeprefix("+") for c in cells))
    return table


def _share(value: float) -> str:
    return "–" if isnan(value) else f"{value:.0%}"


def _number(value: float, error: float) -> str:
    """An estimate to two digits of its error, in ASCII, to be pasted."""
    shown = change(value, error)
    return "±".join(filter(None, shown)).replace("−", "-")

"""The block of docs/guard.md about what the guard was to reach."""

from collections.abc import Sequence

from guard.noise_tables import left, sampled, table

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import Row
from covlaw.records.study import END, study_summary
from covlaw.toys.study.guards import find_guard

LINEAR = ("linear", "gdpo", "ctwa-guided")
"""Methods that weigh rewards."""
LEFT = {4: 0.10, 16: 0.03, 64: 0.01}
"""Share of linear runs that a guard on K completions a prompt was to leave at most."""
ANY = 0.02
"""The same with exact gradients."""
ON_EXACT = (
    (".001", "guard"),
    (".003", "guard"),
    (".003", "guard-restoring-1"),
    (".003", "guard-curvature"),
    (".01", "guard-curvature"),
)
"""Rates of AdamW, and guards."""


def bars() -> str:
    """What was to be reached, and what was."""
    cells = {
        (c["world"].removeprefix("transformer "), c["algorithm"], c["guard"]): c["at"][END]
        for c in study_summary(recorded("study-guard"))["guards"]
        if not c["samples"]
    }
    lines = []
    for rate, guard in ON_EXACT:
        own = {a: cells.get((f"adamw-{rate}", a, guard)) for a in LINEAR}
        tried = [a for a in LINEAR if own[a]]
        pairs = [(cells[f"adamw-{rate}", a, "none"], own[a]) for a in tried]
        lost = [kept["sacrifices"]["mean"] for _, kept in pairs]
        volumes = [[c["hypervolume"]["mean"] for c in two] for two in pairs]
        told = [
            f"{name} {100 * share:.0f} %, {bare:.3f} → {kept:.3f}"
            for name, share, (bare, kept) in zip(tried, lost, volumes, strict=True)
        ]
        met = _yes(max(lost) <= ANY), _yes(all(bare < kept for bare, kept in volumes))
        bar = f"`{guard}`, rate {rate}: at most {100 * ANY:.0f} %, at more volume than unguarded"
        lines.append([bar, "; ".join(told), f"{met[0]}; volume {met[1]}"])
    _, kept = sampled()
    lines += [_bar(kept, count, bar) for count, bar in LEFT.items()]
    worst = max(r["less none"]["sacrifices"]["high"] for r in kept if r["samples"])
    never = f"in pairs at least {-100 * worst:.0f} points fewer sacrifice"
    lines.append(["never worse than unguarded, at any K", never, _yes(worst <= 0)])
    return table(["what was to be reached", "measured", "reached"], lines)


def _bar(kept: Sequence[Row], count: int, bar: float) -> list[str]:
    """The best guard that sees samples alone, and the best whose steps are judged exactly."""
    measured, reached = [], []
    for judged, words in ((False, ""), (True, "judged exactly ")):
        own = [r for r in kept if (find_guard(r["guard"]).control != "none") is judged]
        best = min((r for r in own if r["samples"] == count), key=_price)
        lost = best["sacrifices"]
        unit = " %" if lost["mean"] else ""
        measured.append(f"{words}{left(best)}{unit}, `{best['guard']}`")
        within = lost["mean"] > bar >= lost["low"]
        met = "no, but within its interval" if within else _yes(lost["mean"] <= bar)
        reached.append(f"{words}{met}")
    told = f"linear, .003, K = {count}: at most {100 * bar:.0f} %"
    return [told, "; ".join(measured), "; ".join(reached)]


def _price(row: Row) -> tuple[float, float]:
    return row["sacrifices"]["mean"], -row["hypervolume"]["mean"]


def _yes(found: bool) -> str:
    return "yes" if found else "no"

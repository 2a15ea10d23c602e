"""The study's findings on the terminal, in tables of 80 columns."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from covlaw.ladder.screen import Console

Cell = dict[str, Any]


def show_study(console: Console, summary: dict[str, Any]) -> None:
    """Print who sacrifices what, how far from the frontier runs are, and what was forecast."""
    worlds = list(dict.fromkeys(cell["world"] for cell in summary["table"]))
    threshold = f"more than {summary['threshold']:.0%} of what it had to lose"
    tables: tuple[tuple[str, Table], ...] = (
        (
            f"% of runs that sacrifice an objective ({threshold}; 95 % bootstrap over worlds)",
            _by_world(summary, worlds, _share),
        ),
        (
            "objective that is sacrificed most often",
            _by_world(summary, worlds, _worst, "left"),
        ),
        (
            "hypervolume of the final policy (share of the attainable box)",
            _by_world(summary, worlds, _volume, last=("(at the start)", _start_volume)),
        ),
        (
            "room at the end: % of its range by which each objective could be higher at no more KL",
            _by_world(summary, worlds, _room),
        ),
        (
            f"the law's alarm, in {worlds[-1]} (lead: steps from alarm to sacrifice), and "
            "policies that an earlier one, or another algorithm's, dominates",
            _forecasts(summary, worlds[-1]),
        ),
    )
    for title, table in tables:
        console.print(Text(title, style="italic"))
        console.print(table)
        console.print()
    if summary["price"]:
        console.print(Text("price of the reference's defects: reference − published, same worlds"))
        console.print(_prices(summary, worlds[-1]))
        console.print()
    for line in _remarks(summary):
        console.print(Text(line, style="yellow"))


def _by_world(
    summary: dict[str, Any],
    worlds: list[str],
    show: Callable[[Cell], str],
    justify: JustifyMethod = "right",
    last: tuple[str, Callable[[Cell], str]] | None = None,
) -> Table:
    """One row an algorithm, one column a world; `last`: a row that any algorithm's runs show."""
    headers = (world.replace("_", "\n") for world in worlds)
    table = _table("algorithm", *headers, justify=justify)
    found = {(c["algorithm"], c["world"]): c for c in summary["table"]}
    for algorithm in dict.fromkeys(c["algorithm"] for c in summary["table"]):
        cells = [found.get((algorithm, world)) for world in worlds]
        table.add_row(algorithm, *("–" if cell is None else show(cell) for cell in cells))
    if last is not None:
        label, show = last
        sound = {c["world"]: c for c in summary["table"] if c["sacrifices"]["n"]}
        shown = (show(sound[world]) if world in sound else "–" for world in worlds)
        table.add_row(label, *shown, style="dim")
    return table


def _share(cell: Cell) -> str:
    return _percent(cell["sacrifices"])


def _worst(cell: Cell) -> str:
    worst = cell["worst_objective"]
    return "" if worst is None else str(worst["objective"])


def _volume(cell: Cell) -> str:
    volume = cell["hypervolume"]
    return f"{volume['mean']:.3f}" if volume["n"] else "–"


def _room(cell: Cell) -> str:
    room = cell["room"]
    return f"{100 * room['mean']:.1f}" if room["n"] else "–"


def _start_volume(cell: Cell) -> str:
    return f"{cell['hypervolume_start']['mean']:.3f}"


def _forecasts(summary: dict[str, Any], world: str) -> Table:
    names = ("precision", "recall", "of the loss", "lead", "by earlier", "another")
    table = _table("algorithm", *names)
    for cell in summary["table"]:
        if cell["world"] == world and cell["sacrifices"]["n"]:
            shares = [_plain(cell[name]) for name in ("precision", "recall", "recall_by_size")]
            lead = "–" if cell["lead_time"] is None else f"{cell['lead_time']:g}"
            flags = [_plain(cell[n]["mean"]) for n in ("dominated_earlier", "dominated_by_another")]
            table.add_row(cell["algorithm"], *shares, lead, *flags)
    return table


def _prices(summary: dict[str, Any], world: str) -> Table:
    table = _table(world, "pairs", "sacrifices, points", "worst loss, points", "volume")
    for price in summary["price"]:
        if price["world"] == world:
            shown = [_percent(price[name], "+") for name in ("sacrifices", "worst_regression")]
            volume = f"{price['hypervolume']['mean']:+.3f}"
            table.add_row(price["scalarizer"], str(price["pairs"]), *shown, volume)
    return table


def _remarks(summary: dict[str, Any]) -> Iterator[str]:
    for error in summary["errors"]:
        yield f"stopped: {error['algorithm']} in {error['runs']} runs: {error['error']}"
    if summary["omitted"]:
        yield f"left out: {'; '.join(summary['omitted'])}"


def _table(*columns: str, justify: JustifyMethod = "right") -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k == 0 else justify, no_wrap=True)
    return table


def _percent(interval: Cell, sign: str = "") -> str:
    """Mean and interval in %; a mean without spread stands alone."""
    if not interval["n"]:
        return "–"
    mean, low, high = (100 * interval[name] for name in ("mean", "low", "high"))
    between = " to " if sign else "–"
    around = "" if low == high else f" ({low:{sign}.0f}{between}{high:{sign}.0f})"
    return f"{mean:{sign}.0f}{around}"


def _plain(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"

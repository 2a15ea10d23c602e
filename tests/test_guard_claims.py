"""What docs/interference.md says of the guard is what the record of the guard study says."""

from pathlib import Path
from typing import Any

import pytest
from said import Said

from covlaw.ladder.study.guard_plan import GUARDED
from covlaw.records.study import END, study_summary

ROOT = Path(__file__).parents[1]
CELLS: dict[tuple[str, str, str, int], dict[str, Any]] = {
    (c["world"].removeprefix("transformer "), c["algorithm"], c["guard"], c["samples"]): c
    for c in study_summary(ROOT / "figures" / "data" / "study-guard")["guards"]
}
PAGE = Said("docs/interference.md")


def share(world: str, algorithm: str, guard: str = "none", samples: int = 0) -> str:
    """Percent of runs that sacrifice an objective, at the end."""
    cell = CELLS[world, algorithm, guard, samples]
    return f"{100 * cell['at'][END]['sacrifices']['mean']:.0f}"


def volume(world: str, algorithm: str, guard: str = "none") -> str:
    cell = CELLS[world, algorithm, guard, 0]
    return f"{cell['at'][END]['hypervolume']['mean']:.3f}".lstrip("0")


SMALL, MIDDLE, LARGE = "adamw-.001", "adamw-.003", "adamw-.01"
BEST = "guard-curvature"
MIXERS = ("rvpo", "dvao", "gapo")


def sampled(guard: str) -> str:
    found = [share(MIDDLE, "linear", guard, k) for k in (4, 16, 64)]
    return f"{found[0]}, {found[1]} and {found[2]} %"


def room(world: str, algorithm: str, guard: str = "none") -> str:
    """At 1 nat."""
    return f"{CELLS[world, algorithm, guard, 0]['at']['1']['room']['mean']:.3f}".lstrip("0")


def change_of_room(world: str, algorithm: str) -> str:
    """Of the pairs that both reach 1 nat, with its 95 % interval."""
    found = CELLS[world, algorithm, BEST, 0]["less none"]["1"]["room"]
    mean, low, high = (f"{-found[key]:.3f}".lstrip("0") for key in ("mean", "high", "low"))
    return f"{mean}, {low} to {high}"


def mixers(guard: str) -> str:
    found = [share(MIDDLE, name, guard) for name in MIXERS]
    return f"{found[0]}, {found[1]} and {found[2]} %"


@pytest.mark.parametrize(
    "said",
    [
        f"from {share(SMALL, 'linear')} to {share(SMALL, 'linear', 'guard')} % and from "
        f"{volume(SMALL, 'linear')} to {volume(SMALL, 'linear', 'guard')} in volume",
        f"from {share(MIDDLE, 'linear')} to {share(MIDDLE, 'linear', 'guard')} % and from "
        f"{volume(MIDDLE, 'linear')} to {volume(MIDDLE, 'linear', 'guard')} (GDPO "
        f"{share(MIDDLE, 'gdpo')} to {share(MIDDLE, 'gdpo', 'guard')}, guided CTWA "
        f"{share(MIDDLE, 'ctwa-guided')} to {share(MIDDLE, 'ctwa-guided', 'guard')} %",
        f"(linear {share(LARGE, 'linear', 'guard')}, MGDA {share(LARGE, 'mgda', 'guard')} %)",
        f"(linear {volume(LARGE, 'linear')} to {volume(LARGE, 'linear', BEST)}, MGDA "
        f"{volume(LARGE, 'mgda')} to {volume(LARGE, 'mgda', BEST)})",
        f"({volume(MIDDLE, 'linear', BEST)} against {volume(MIDDLE, 'linear', 'guard')})",
        f"pays with the progress ({volume(LARGE, 'linear', 'halving')})",
        f"GEM leaves {share(MIDDLE, 'linear', 'gem')} % at .003",
        f"{share(MIDDLE, 'linear', 'madam')} %, MGDA with the Gramian in the optimiser's metric "
        f"{share(MIDDLE, 'mgda', 'gramian-in-metric')} %",
        f"({share(MIDDLE, 'linear', 'guard-plain-metric')} %), and reaches less "
        f"({volume(MIDDLE, 'linear', 'guard-plain-metric')})",
        f"plain guard leaves {sampled('guard')} of linear runs",
        f"restoring floors (κ = 1) {sampled('guard-restoring-1')}",
        f"sacrifice an objective in {mixers('none')} of runs, under plain guard in "
        f"{mixers('guard')}",
        f"linear weights from {room(LARGE, 'linear')} to {room(LARGE, 'linear', BEST)} (in pairs "
        f"less by {change_of_room(LARGE, 'linear')})",
        f"MGDA, which has less to begin with, stays at {room(LARGE, 'mgda', BEST)}",
    ],
)
def test_what_is_said_of_the_guard_is_in_its_record(said: str) -> None:
    assert said in PAGE


def test_floors_raised_by_the_curvature_sacrifice_no_run() -> None:
    assert "What plain guard leaves at .003 is curvature" in Said("docs/guard.md")
    assert share(MIDDLE, "linear", "guard") != "0"
    for world in (SMALL, MIDDLE, LARGE):
        for algorithm in GUARDED:
            assert share(world, algorithm, BEST) == "0"
    for algorithm in GUARDED:
        assert float(volume(LARGE, algorithm, BEST)) > float(volume(LARGE, algorithm))


def test_no_guard_sacrifices_more_than_none() -> None:
    fallen = []
    for (world, algorithm, guard, samples), cell in CELLS.items():
        bare = CELLS[world, algorithm, "none", 0]["at"][END]
        guarded = cell["at"][END]
        if guard.startswith("guard"):  # rivals may, and MAdam does
            assert guarded["sacrifices"]["mean"] <= bare["sacrifices"]["mean"]
        if guard in ("guard", BEST) and not samples:
            fallen.append(bare["hypervolume"]["mean"] - guarded["hypervolume"]["mean"])
    assert f"by up to {max(fallen):.3f}".replace("0.", ".") in PAGE

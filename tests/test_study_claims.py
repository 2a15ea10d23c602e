"""What README and docs say of the study, number by number, is what its record says."""

from pathlib import Path

import pytest
from said import Said

from covlaw.records.study import END, LEAD, measured, study_summary

ROOT = Path(__file__).parents[1]
SUMMARY = study_summary(ROOT / "figures" / "data" / "study")
CELLS = {(cell["algorithm"], cell["world"]): cell for cell in SUMMARY["table"]}
PRICES = {(p["scalarizer"], p["world"]): p["sacrifices"]["mean"] for p in SUMMARY["price"]}
SMALL, LARGE, SGD = (f"transformer {name}" for name in ("adamw-.001", "adamw-.01", "sgd-.03"))
PAGES = {name: Said(name) for name in ("README.md", "docs/findings.md", "docs/interference.md")}


def share(algorithm: str, world: str = LEAD, place: str = "0.1") -> str:
    """Percent of runs that sacrifice an objective."""
    found = measured(CELLS[algorithm, world], "sacrifices", place)
    assert found is not None
    return f"{100 * found['mean']:.0f}"


def volume(algorithm: str, place: str = "0.1") -> str:
    found = measured(CELLS[algorithm, LEAD], "hypervolume", place)
    assert found is not None
    return f"{found['mean']:.3f}".lstrip("0")


def price(scalarizer: str) -> str:
    return f"{100 * PRICES[scalarizer, LEAD]:.0f}"


SAID = {
    "README.md": (
        f"MGDA sacrifices an objective in {share('mgda')} % of runs, linear weights in "
        f"{share('linear')} %; after 20 steps in {share('mgda', place=END)} and "
        f"{share('linear', place=END)} %",
    ),
    "docs/interference.md": (
        f"MGDA, GAPO, UPGrad and Nash-MTL sacrifice an objective in {share('mgda')}, "
        f"{share('gapo')}, {share('upgrad')} and {share('nash_mtl')} % of runs where linear "
        f"weights do in {share('linear')} %; at the end of 20 steps in "
        f"{share('upgrad', place=END)} to {share('mgda', place=END)} and "
        f"{share('linear', place=END)} %",
        f"MGDA {share('mgda')}, {share('mgda', place='0.3')} and {share('mgda', place='1')} % at "
        ".1, .3 and 1 nats",
        f"MGDA sacrifices {share('mgda', SGD)} % under SGD and {share('mgda', SMALL)}, "
        f"{share('mgda')} and {share('mgda', LARGE)} % under AdamW at .001, .003 and .01",
        f"(volume {volume('upgrad')} both, from "
        f"{CELLS['linear', LEAD]['hypervolume_start']['mean']:.3f}".replace("from 0", "from "),
        f"MGDA and GAPO reach {volume('mgda')}",
        f"({share('ctwa')} and {share('linear')} %): its weights have hardly moved",
        f"{share('ctwa-fast', SMALL)} and {share('ctwa-guided', SMALL)} % under AdamW at .001 "
        f"against {share('linear', SMALL)} %, and not at .003 ({share('ctwa-fast')} and "
        f"{share('ctwa-guided')} %)",
        f"({share('covariance_mgda')} %, at the end {share('covariance_mgda', place=END)} %)",
        f"({share('covariance_mgda', SGD)} and {share('covariance_mgda', SGD, END)} %)",
        f"{share('gdpo')}, {share('rvpo')} and {share('dvao')} %. GDPO is safe",
        f"({CELLS['pama', LEAD]['at']['0.1']['runs']} of {CELLS['pama', LEAD]['runs']}) "
        f"{share('pama')} % have sacrificed by .1",
        f"{share('dynamic', SMALL)} against {share('dynamic-ref', SMALL)} % at .001",
        f"{SUMMARY['runs']:,} runs of 20 steps",
    ),
    "docs/findings.md": (
        f"sacrifice an objective in {share('upgrad')} to {share('mgda')} % of runs, linear "
        f"weights in {share('linear')} %. At the end of 20 steps it is "
        f"{share('upgrad', place=END)} to {share('mgda', place=END)} and "
        f"{share('linear', place=END)} %",
        f"MGDA {share('mgda', SGD)} % under SGD at .1 nats, {share('mgda', SMALL)}, "
        f"{share('mgda')} and {share('mgda', LARGE)} % under AdamW",
        f"does what linear weights do** ({share('ctwa')} %)",
        f"{share('ctwa-fast', SMALL)} % at .001",
        f"not on transformers ({share('covariance_mgda')} %, at the end "
        f"{share('covariance_mgda', place=END)} %)",
        f"{price('pama')} points of runs for PAMA, {price('gradnorm')} for GradNorm, "
        f"{price('tchebycheff')} for Tchebycheff",
        f"{SUMMARY['runs']:,} runs in some ten minutes",
    ),
}


@pytest.mark.parametrize(("page", "said"), [(p, s) for p, lines in SAID.items() for s in lines])
def test_what_is_said_of_the_study_is_in_its_record(page: str, said: str) -> None:
    assert said in PAGES[page]


def test_the_sets_that_are_named_together_lie_between_the_named_ends() -> None:
    protecting = ("upgrad", "nash_mtl", "gapo", "mgda")
    early = [float(share(name)) for name in protecting]
    late = [float(share(name, place=END)) for name in protecting]
    assert (min(early), max(early)) == (float(share("upgrad")), float(share("mgda")))
    assert (min(late), max(late)) == (
        float(share("upgrad", place=END)),
        float(share("mgda", place=END)),
    )
    assert volume("linear") == volume("upgrad")
    assert volume("gapo") == volume("mgda")
    assert CELLS["pama", SGD]["at"]["0.03"]["runs"] == 0
    assert share("covariance_mgda", "bandit_natural sgd-.05") == "0"
    for world in ("bandit sgd-1", "bandit adamw-.1", "bandit_natural sgd-.05"):
        assert share("gdpo", world) == "0"

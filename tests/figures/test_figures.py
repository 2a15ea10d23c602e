"""Figures: titles that claim what is there."""

import json
from pathlib import Path

import pytest
from fake_runs import write_ladder, write_llm_run, write_study

from covlaw.figures._drawing.available import available, require
from covlaw.figures._drawing.render import inline_svg, recorded
from covlaw.figures._drawing.style import house_style
from covlaw.figures.registry import FIGURES, load
from covlaw.records.constants import CLEAR
from covlaw.records.findings import interference_claim
from covlaw.records.ladder import audits, llm_runs
from covlaw.records.study import study_summary, table_of
from covlaw.theory._numerics.errors import CovlawError

OWN = {
    **dict.fromkeys(("guard", "guard_pairs"), recorded("guard-llm")),
    "guard_study": recorded("study-guard"),
    "real": recorded("real"),
}
"""Figures that are drawn of their own record."""


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a ladder and a study at once: enough for every figure but those of guarded runs."""
    return write_study(write_ladder(tmp_path_factory.mktemp("ladder")))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_it_shows(name: str, ladder: Path) -> None:
    words = load(name).describe(OWN.get(name, ladder))
    assert 10 < len(words.title) < 160
    assert words.caption.endswith(".")
    assert "seed" in words.caption.lower()
    assert inline_svg(name, OWN.get(name, ladder)).startswith('<svg aria-hidden="true"')


def test_the_interference_title_is_computed(tmp_path: Path) -> None:
    title = load("interference").describe(write_ladder(tmp_path, seeds=2)).title
    assert "linear sacrifices clarity in 2 of 2 runs" in title
    assert "ctwa sacrifices none" in title


def test_who_sacrifices_nothing_may_still_have_fallen(tmp_path: Path) -> None:
    run = write_llm_run(tmp_path, "ctwa")
    assert "least gain" in interference_claim(llm_runs(run))
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    for k, step in enumerate(steps):
        step["reward_mean"] = [0.9, 0.9, 0.9 - 0.003 * k]
    (run / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    assert "largest fall: clarity 0.9" in interference_claim(llm_runs(run))


def test_a_forecast_over_seeds_is_a_mean_with_its_error(tmp_path: Path) -> None:
    run = write_ladder(tmp_path, seeds=2)
    made = [a for a in audits(llm_runs(run)) if (a.run.scalarizer, a.step) == ("linear", 0)]
    first, second = (a.change("first_order") for a in made)
    with house_style():
        panel = load("interference").draw(run).axes[6]  # rows of three: the third row's accuracy
    line, _, [bars] = panel.containers[0]
    assert line.get_ydata()[0] == pytest.approx((first[0][0] + second[0][0]) / 2)
    low, high = bars.get_segments()[0][:, 1]
    error = (first[1][0] ** 2 + second[1][0] ** 2) ** 0.5 / 2  # independent samples
    assert high - low == pytest.approx(2 * CLEAR * error)


def test_the_studys_title_and_order_are_computed(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    assert "linear 70 %, ctwa 50 %, mgda 10 %" in load("study").describe(study).title
    names = table_of(study_summary(study))[2]
    assert names == ["mgda", "mgda-ref", "ctwa", "linear"]  # by family, the safest first
    path = study / "summary.json"
    record = json.loads(path.read_text())
    for cell in record["table"]:
        share = cell["sacrifices"]
        cell["sacrifices"] = share | {k: 1 - share[k] for k in ("mean", "low", "high")}
    path.write_text(json.dumps(record))
    assert "linear 30 %" in load("study").describe(study).title
    assert table_of(study_summary(study))[2][0] == "linear"


def test_a_defect_that_costs_nothing_is_not_said_to_cost(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    assert "mgda +20" in load("reference_defects").describe(study).title
    path = study / "summary.json"
    record = json.loads(path.read_text())
    for price in record["price"]:
        price["sacrifices"] |= {"mean": 0.0, "low": -0.01, "high": 0.01}
    path.write_text(json.dumps(record))
    assert "No reference defect" in load("reference_defects").describe(study).title


def test_a_study_without_a_finished_run_is_refused_and_one_without_prices_draws_none(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path)
    path = study / "summary.json"
    record = json.loads(path.read_text()) | {"price": []}
    path.write_text(json.dumps(record))
    assert available(study) == ["study"]
    with pytest.raises(CovlawError, match="needs reference forms"):
        require("reference_defects", study)
    path.write_text(json.dumps(record | {"table": []}))
    with pytest.raises(CovlawError, match="holds no finished run"):
        load("study").describe(study)


def test_an_unknown_figure_names_near_matches() -> None:
    with pytest.raises(CovlawError, match="did you mean law_budget"):
        load("law_budgets")

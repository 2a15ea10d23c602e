"""The first sentence about runs is true of their records."""

from pathlib import Path

import pytest
from fake_runs import write_llm_run

from covlaw.figures._drawing.render import recorded
from covlaw.records.findings import levels
from covlaw.records.ladder import llm_run, llm_runs
from covlaw.records.power import power_by_rung
from covlaw.records.verdict.falls import Fall
from covlaw.records.verdict.headline import fall_words, headline
from covlaw.records.verdict.rows import Estimate
from covlaw.theory._numerics.errors import unknown

LINEAR = recorded() / "llm" / "linear-seed0"


def fall(diagnosis: int | None, forecast: int | None) -> Fall:
    lead = {"exact_change": diagnosis, "law": forecast, "measured": None}
    return Fall("run", "clarity", Estimate(-0.4, 0.01), 7, 1.0, True, lead)


@pytest.mark.parametrize(
    ("diagnosis", "forecast", "words"),
    [
        (4, None, "; the diagnosis saw it 4 steps earlier, the bare forecast did not"),
        (None, 1, "; the bare forecast said so 1 step earlier, the diagnosis did not"),
        (None, None, "; neither the diagnosis nor the bare forecast saw it earlier"),
        (3, 3, "; the diagnosis and the bare forecast saw it 3 steps earlier"),
        (5, 2, "; the diagnosis saw it 5 steps earlier, the bare forecast 2 steps earlier"),
    ],
)
def test_each_case_has_its_words(diagnosis: int | None, forecast: int | None, words: str) -> None:
    assert fall_words(fall(diagnosis, forecast)) == "clarity fell from step 7" + words


def test_the_recorded_fall_is_told() -> None:
    run = llm_run(LINEAR)
    assert run is not None
    told = "clarity fell from step 7; the diagnosis saw it 7 steps earlier"
    assert headline([run]) == f"{told}, the bare forecast did not."
    several = headline([r for r in llm_runs(recorded()) if not r.guarded])
    assert several.startswith("clarity fell in 4 of 9 runs; of 4 audited falls")
    assert "the bare forecast 1," in several


def test_a_run_without_falls_says_so_and_one_without_audits_too(tmp_path: Path) -> None:
    kept = llm_run(write_llm_run(tmp_path, "ctwa"))
    assert kept is not None
    assert headline([kept]).startswith("No objective fell for certain: ")
    run = llm_run(LINEAR)
    assert run is not None
    for step in run.steps:
        step["audits"] = []
    assert headline([run]) == "clarity fell from step 7; no audit was there to see it coming."
    assert headline([run, kept]).endswith("1 of 2 runs; no audit was there to see it coming.")
    assert headline([]) == ""


def test_rewards_that_stand_together_have_the_same_decimals() -> None:
    assert levels([0.419, 0.00098]) == ["0.42", "0.00"]
    assert levels([0.0, 0.00098]) == ["0.00000", "0.00098"]
    assert levels([12.5, -0.0, float("nan")]) == ["12.50", "0.00", "–"]


def test_power_leaves_out_what_is_algebra_of_the_sample() -> None:
    common = {"rung": "llm", "status": "holds", "predicted": 0.1, "measured": -0.2, "n": 3}
    control = {"negative_control": {"name": "wrong", "refuted": True}}
    rows = [
        common | control | {"tolerance": 0.02, "judged": "sampled"},
        common | control | {"tolerance": 1e-12, "judged": "estimator"},
        common | control | {"tolerance": 0.0, "judged": "sampled", "n": 0},
    ]
    assert power_by_rung(rows) == {"llm": (1, 3, 1, 1, pytest.approx(0.1))}


def test_of_many_names_only_the_nearest_are_said() -> None:
    many = (*(f"setting_{k}" for k in range(58)), "steps")
    said = str(unknown("setting", "stpes", many, "docs/x.md"))
    assert "did you mean steps" in said
    assert said.count("setting_") <= 2
    assert "59 are known; docs/x.md lists them" in said
    assert str(unknown("setting", "qqq", many)).count(" or ") == 2  # three, however far
    assert "choose from a, b" in str(unknown("setting", "zz", ("a", "b")))

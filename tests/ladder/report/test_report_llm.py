"""An LLM run's page: every audit with its signs, the budget, and what the model wrote, as text."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from fake_runs import OBJECTIVES, lines, samples, write_ladder, write_llm_run
from report_tags import Page

from covlaw.ladder.plain_text import spelled
from covlaw.ladder.report import write_report
from covlaw.ladder.report.filters import change, estimate, minus, number, signed
from covlaw.ladder.report.llm_section import PREDICTIONS, audit_rows
from covlaw.records.constants import BUDGET_TERMS
from covlaw.records.ladder import LlmRun
from covlaw.records.lines import read_records

HOSTILE = "</p></script><script>alert(1)</script><img src=x onerror=alert(2)>"
BIDI = "safe \u202e\u2066txet desrever\u2069 \u200b\x00end"


def run_with(**changes: object) -> LlmRun:
    """One step with one audit whose numbers are all known."""
    same = {"estimate": [0.5, -0.5, 0.5], "se": [0.1] * 3}
    audit = {
        "sample": "independent", "scale": 2.0, **dict.fromkeys(PREDICTIONS, same),
        "measured": {"estimate": [0.3, 0.3, 0.01], "se": [0.1] * 3},
        "budget": {term: [k + 1.0, 0.0, 0.0] for k, term in enumerate(BUDGET_TERMS)},
    }  # fmt: skip
    step = {"step": 7, "objectives": list(OBJECTIVES), "audits": [audit | changes]}
    return LlmRun("run", [step])


def test_signs_are_judged_where_the_measured_one_is_certain() -> None:
    up, down, unknown = audit_rows(run_with(), "independent")
    assert [e.right for e in up.forecasts] == [True] * 4
    assert [e.right for e in down.forecasts] == [False] * 4
    assert [e.right for e in unknown.forecasts] == [None] * 4
    # forecasts by covariance with the signal are in its units: times scale
    assert [e.value for e in up.forecasts] == [1.0, 1.0, 0.5, 0.5]
    assert [e.error for e in up.forecasts] == [0.2, 0.2, 0.1, 0.1]
    assert up.budget == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert (up.step, up.realised, up.measured.value) == (7, 0.5, 0.3)


def test_a_forecast_that_is_null_has_no_sign() -> None:
    row = audit_rows(run_with(law={"estimate": [None] * 3, "se": [None] * 3}), "independent")[0]
    assert row.forecasts[0].right is None
    assert row.forecasts[1].right is True


def test_a_sample_without_budget_has_no_terms() -> None:
    run = run_with(sample="same")
    del run.steps[0]["audits"][0]["budget"]
    assert audit_rows(run, "same")[0].budget == []
    assert audit_rows(run, "independent") == []


def test_the_page_holds_every_audit_and_its_budget(tmp_path: Path) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    text = write_report(run, pictures=False).read_text()
    page = Page(text)
    audited = [s for s in read_records(run / "steps.jsonl") if s["audits"]]
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    for caption in ("no part in the update", "on the batch itself", "Terms of the change"):
        table = next(t for t in tables if caption in t)
        assert len(re.findall("<tr>", table)) == 1 + len(audited) * len(OBJECTIVES)
    record = audited[1]["audits"][0]
    assert signed(record["exact_change"]["estimate"][2]) in text
    assert signed(0.1 * record["law"]["estimate"][0]) in text
    assert all(f'<th scope="col">{term}</th>' in text for term in BUDGET_TERMS)
    assert text.count("Weights over training") > 1
    assert page.count("polyline") == 2 * len(OBJECTIVES)


def test_a_run_without_weights_or_samples_has_a_page(tmp_path: Path) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    steps = [s | {"weights": None} for s in read_records(run / "steps.jsonl")]
    lines(run / "steps.jsonl", steps)
    (run / "samples.jsonl").unlink()
    text = write_report(run, pictures=False).read_text()
    assert "Weights over training" not in text
    assert "What it wrote" not in text


def test_a_ladder_folds_each_of_its_runs(tmp_path: Path) -> None:
    page = Page(write_report(write_ladder(tmp_path, seeds=2), pictures=False).read_text())
    folded = [a["id"] for t, a in page.tags if t == "details" and "run-" in (a.get("id") or "")]
    assert folded == [f"run-{k}" for k in range(4)]
    assert page.count("section") == 4


@pytest.mark.parametrize("text", [HOSTILE, BIDI, "W" * 3000])
def test_what_a_model_wrote_is_text(tmp_path: Path, text: str) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    clean = Page(write_report(run, pictures=False).read_text())
    lines(run / "samples.jsonl", [samples((text, "b", "c"), t, text, text) for t in (0, 19)])
    written = write_report(run, pictures=False).read_text()
    page = Page(written)
    assert [t for t, _ in page.tags] == [t for t, _ in clean.tags]
    assert not [a for _, a in page.tags if "onerror" in a or "src" in a]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00]", unescape(written))
    assert spelled(text) in unescape(written)


def test_invisible_characters_are_spelled_out() -> None:
    assert spelled("a\u202eb\x00\n\tc") == "a⟨U+202E⟩b⟨U+0000⟩\n\tc"
    assert spelled("👩\u200d🔬 نمی\u200cخواهم") == "👩\u200d🔬 نمی\u200cخواهم"
    assert spelled("\ud800") == "⟨U+D800⟩"


def test_numbers() -> None:
    assert [number(v) for v in (None, float("nan"), 0.123456, 0.0)] == ["–", "–", "0.1235", "0"]
    assert [signed(v, 2) for v in (None, float("inf"), -0.5, 0.0)] == ["–", "–", "−0.50", "0"]
    assert signed(0.25) == "+0.2500"
    assert signed(-4e-5) == "0"  # and not "−0.0000"


def test_a_sample_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    with (run / "samples.jsonl").open("a") as file:
        file.write(json.dumps(samples(OBJECTIVES, 99))[:-9])
    text = write_report(run, pictures=False).read_text()
    assert "<summary>Step 19</summary>" in text
    assert "Step 99" not in text


def test_estimates_have_the_decimals_of_their_errors() -> None:
    assert estimate(0.1261, 0.0323) == ("0.126", "0.032")
    assert change(-0.0714, 0.02) == ("−0.071", "0.020")
    assert estimate(0.000385, 0.014) == ("0.000", "0.014")
    assert estimate(0.99999922, 2e-7) == ("1.0000", "2e-07")  # no more digits than anybody reads
    assert change(3e-6, 1e-6) == ("+0.0000030", "0.0000010")
    assert change(0.5, 0.0) == ("+0.5", "")  # every prompt says the same
    assert estimate(float("nan"), 0.1) == change(None, None) == ("–", "")


def test_only_signs_of_numbers_become_minus_signs() -> None:
    assert minus("law -0.084, grpo-2, [-1]: co-exist") == "law −0.084, grpo-2, [−1]: co-exist"

"""What README and findings say was found is what the records hold."""

import importlib.util
import json
from pathlib import Path

import numpy as np
from said import Said

from covlaw.figures._drawing.forecasts import Row, rows
from covlaw.figures._drawing.render import recorded
from covlaw.figures.same_sample_optimism import optimism
from covlaw.records.findings import agreement, outcomes
from covlaw.records.ladder import audits, llm_runs, verdict_file
from covlaw.records.lines import read_records
from covlaw.records.outcomes import by_rung
from covlaw.theory.solvers.york import line_with_errors

ROOT = Path(__file__).parents[1]
README = Said("README.md", "docs/findings.md", "docs/law.md")
LADDER = recorded("ladder")


def short(value: float, places: int = 2) -> str:
    """Write .40 for 0.4, and −.008 for −0.008 to three places."""
    return f"{value:.{places}f}".replace("0.", ".", 1).replace("-", "−")


def test_the_marked_blocks_are_what_the_records_say() -> None:
    path = ROOT / "tools" / "findings_tables.py"
    spec = importlib.util.spec_from_file_location("findings_tables", path)
    assert spec
    assert spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert tool.page(text) == text, "run python tools/findings_tables.py"
    assert sorted(tool.BLOCK.findall(text)) == ["bases", "falls", "ladder", "study"]


def test_no_statement_is_refuted() -> None:
    assert all(v["status"] != "refuted" for v in verdict_file(LADDER)["verdicts"])
    assert "No statement is refuted on any rung" in README


def test_statements_are_counted_rung_by_rung() -> None:
    counts = by_rung(verdict_file(LADDER)["verdicts"])
    *exact, llm = counts.values()
    assert list(counts)[-1] == "llm"
    *first, last = (str(found["exact"]) for found in exact)
    assert f"rungs {', '.join(first)} and {last} hold, in the order below" in README
    assert f"`llm` {llm['sampled']} holds on samples, {llm['estimator']} are identities" in README
    assert f"of the estimator and {llm['inconclusive']} is inconclusive" in README


def test_pairs_without_a_sign() -> None:
    found = json.loads((recorded("study-llm") / "verdict.json").read_text(encoding="utf-8"))
    pairs = found["pairs"]["exact_change"]
    assert f"{pairs['dropped']} of the {pairs['of']} audited changes have no sign" in README


def test_who_was_warned_of_what() -> None:
    found = json.loads((recorded("study-llm") / "verdict.json").read_text(encoding="utf-8"))
    leads = [fall["lead"] for fall in found["falls"]]
    seen = {name: sum(lead[name] is not None for lead in leads) for name in leads[0]}
    assert seen["exact_change"] == seen["first_order"]
    said = f"Of {len(leads)} objectives that fell over a run for certain, exact form and first "
    said += f"order had announced {seen['exact_change']} before the reward curve shows it"
    assert said in README
    assert f"completions, {seen['measured']}; the bare law {seen['law']}." in README
    errors = [short(found["precision"][name], 4) for name in ("exact_change", "measured")]
    assert f"median standard error of {errors[0]} against {errors[1]}" in README
    assert f"slope is {short(found['agreement']['5']['exact_change']['slope']['value'])}" in README


def test_the_answers_by_question() -> None:
    answers = README
    found = json.loads((recorded("study-llm") / "verdict.json").read_text(encoding="utf-8"))
    signs = {n: found["agreement"]["1"][n]["signs"] for n in ("law", "exact_change")}
    right = {n: f"{s['agree_certified']} of {s['certified']}" for n, s in signs.items()}
    assert f"certified signs {right['law']} were right, of the exact" in answers
    assert f"exact form's {right['exact_change']}." in answers
    leads = [fall["lead"] for fall in found["falls"]]
    seen = {name: sum(lead[name] is not None for lead in leads) for name in leads[0]}
    assert f"of {len(leads)} objectives that fell for certain the bare law" in answers
    assert f"announced {seen['law']} before the reward curve" in answers
    assert f"the diagnoses {seen['exact_change']}, a plain difference" in answers
    assert f"a plain difference of means {seen['measured']} ([" in answers


def test_intervals_of_the_rl_runs() -> None:
    table = json.loads((recorded("study-llm") / "summary.json").read_text(encoding="utf-8"))[
        "table"
    ]
    share = {c["algorithm"]: c["sacrifices"] for c in table}
    for name, word in (("linear", "linear"), ("mgda", "MGDA")):
        mean, low, high = (f"{100 * share[name][key]:.0f}" for key in ("mean", "low", "high"))
        assert f"{word} {mean} %, {low} to {high}" in README
    assert share["ctwa"]["mean"] == 1.0


def test_who_lost_what() -> None:
    found = {(o.method, o.objective): o for o in outcomes(llm_runs(LADDER))}
    lost = found["linear", "clarity"]
    assert (lost.sacrificed, lost.seeds) == (3, 3)
    paying = {key: o.sacrificed for key, o in found.items() if o.sacrificed}
    assert paying == {("linear", "clarity"): 3, ("ctwa-fast", "clarity"): 1}
    assert "sacrificed in one run of three" in README
    assert f"clarity from {short(lost.start)} to {short(lost.end)} in three runs" in README
    names = ("accuracy", "conciseness", "clarity")
    kept = ", ".join(short(found["covariance_mgda", n].end) for n in names)
    assert f"keeps all three here ({kept})" in README


def test_the_forecasts() -> None:
    made = audits(llm_runs(LADDER))
    exact, order, law = (agreement(made, n) for n in ("exact_change", "first_order", "law"))
    assert f"in {exact.within} of {exact.n} cases for the exact form" in README
    assert f"in {order.within} for the first order" in README
    assert f"in {law.within} for the bare law" in README
    first = [a for a in made if (a.run.scalarizer, a.step) == ("linear", 0)]
    for name, words in (("exact_change", "says {}, {} and {} for clarity"),
                        ("measured", "fresh samples: {}, {} and {} ")):  # fmt: skip
        changes = [short(float(a.change(name)[0][2]), 3) for a in first]
        assert words.format(*changes) in README


def test_optimism() -> None:
    assert f"promises {optimism(llm_runs(LADDER))[0]:.1f} times as much accuracy" in README
    own = {
        r["group_size"]: r["same"]["ratio"]
        for r in read_records(LADDER / "group_size.jsonl")
        if (r["objective"], r["learning_rate"]) == ("score", 0.3)
    }
    assert f"{own[4]:.1f} times at 4 completions a prompt and {own[64]:.1f} at 64" in README


def test_signs_on_the_exact_rungs() -> None:
    found = [row for row in rows(LADDER) if row.exact]
    signs = {n: np.sum([row.signs(n) for row in found], 0) for n in found[0].points}
    clipped, law, order, exact = (
        int(signs[n][0]) for n in ("clipped", "law", "first_order", "exact_change")
    )
    cases, updates = int(signs["law"][1]), sum(int(row.update.max()) + 1 for row in found)
    assert exact == cases
    assert f"over {cases} objectives of {updates} updates" in README
    said = f"{clipped} signs right, the bare law {law}, the first order along the step {order}"
    assert said in README


def test_the_studys_size() -> None:
    summary = json.loads((recorded("study") / "summary.json").read_text(encoding="utf-8"))
    assert f"{summary['runs']:,} runs" in README


def own_slope(row: Row, name: str) -> float:
    own = row.points[name]
    columns = (own.forecast, row.change, own.forecast_error, row.change_error)
    kept = (columns[2] > 0) & (columns[3] > 0)
    shared = float(own.correlation[kept].mean())
    return float(line_with_errors(*(v[kept] for v in columns), correlation=shared).slope)


def test_slopes_of_own_and_of_alike_errors() -> None:
    """Of the ladder's audits, York's line from each point's errors against Deming's."""
    [llm] = (row for row in rows(LADDER) if row.rung == "llm")
    own, alike, law, law_alike = (
        f(llm, name) for name in ("exact_change", "law") for f in (own_slope, Row.slope)
    )
    assert f"has {short(own)} in that way and {alike.value:.2f} with errors" in README
    assert alike.low < 1 < alike.high
    limits = Said("docs/limits.md")
    assert f"is {short(own)} in that way and {alike.value:.2f} with errors that are alike" in limits
    assert f"the bare law's {law:.2f} and {law_alike.value:.2f}" in limits
    study = json.loads((recorded("study-llm") / "verdict.json").read_text(encoding="utf-8"))
    for name in ("first_order", "exact_change"):
        slope = study["agreement"]["1"][name]["slope"]
        assert slope["low"] < 1 < slope["high"]

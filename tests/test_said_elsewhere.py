"""Other numbers in the prose of README and docs, each from its record or the code's constant."""

import json
import tomllib
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from look_ahead_llm import BASE, PROMPTS, page
from said import Said
from scipy.stats import norm, t

from covlaw.figures._drawing.render import recorded
from covlaw.figures.geometry import KINDS, _mean, _worst
from covlaw.figures.guard import describe
from covlaw.ladder.study.budgets import BUDGETS
from covlaw.llm.guard.settings import GuardSettings
from covlaw.plugins.inspection.scan import ALARMS, WINDOWS
from covlaw.records.constants import CERTAIN, CLEAR, END_STEPS, SACRIFICE
from covlaw.records.ladder import audits, llm_runs
from covlaw.records.lines import read_records
from covlaw.records.study import study_summary
from covlaw.theory.estimators.calibration import calibration_slope
from covlaw.theory.estimators.sign_certificate import NOMINAL, WRONG
from covlaw.theory.guard import RestoringFloors
from covlaw.theory.scalarizers.ctwa import Ctwa
from covlaw.theory.statements.judge import ERROR_RATE
from covlaw.toys.measurements.certificate_families import RARE

ROOT = Path(__file__).parents[1]
DATA = ROOT / "figures" / "data"
README, FINDINGS, INTERFERENCE, GUARD, INSPECT, LAW, LIMITS = (
    Said(name if name == "README.md" else f"docs/{name}.md")
    for name in ("README.md", "findings", "interference", "guard", "inspect", "law", "limits")
)


def short(value: float, places: int = 2) -> str:
    """.40 for 0.4."""
    return f"{value:.{places}f}".replace("0.", ".", 1).replace("-", "−")


def bare(value: float) -> str:
    """.001 for 0.001, .1 for 0.1, 1 for 1."""
    return f"{value:g}".removeprefix("0")


def test_the_table_of_ends_is_fresh() -> None:
    text = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert page(text) == text, "run python tools/look_ahead_llm.py --page"
    assert f"from the base's samples ({PROMPTS} prompts × {BASE})" in INSPECT
    rows = read_records(DATA / "look-ahead-llm" / "look_ahead_llm.jsonl")
    changes = [min(row["change"]) for row in rows if row["guard"] == "on"]
    assert len(changes) == 3
    assert min(changes) > 0
    assert "every guarded one with all three above their start" in INSPECT


def test_the_readme_prints_what_the_shipped_log_says() -> None:
    pytest.importorskip("pyarrow")
    import covlaw

    log = covlaw.read_log(str(ROOT / "examples" / "trl_completions"))
    said = covlaw.inspect_log(log, weights=[1, 1, 0.5]).headline[0]
    assert said in Said("README.md").replace("> ", "")
    assert said.replace("of the groups", "of > the groups") in README


def test_the_picture_at_the_top() -> None:
    title = describe(recorded("guard-llm")).title.replace("0.", ".")
    assert title.startswith("Guarded, clarity ends at .42 instead of .00")
    assert "conciseness at .56 instead of .99" in title
    assert "clarity ends at .42 instead of .00, conciseness at .56 instead of .99" in README
    assert "clarity falls from .40 to 0; guarded" in README


def test_floors_raised_by_the_curvature() -> None:
    summary = study_summary(DATA / "study-guard")
    cells = {
        (c["algorithm"], c["guard"]): c["at"]["end"]["sacrifices"]["mean"]
        for c in summary["guards"]
        if c["world"] == "transformer adamw-.003" and not c["samples"]
    }
    (runs,) = {c["at"]["end"]["sacrifices"]["n"] for c in summary["guards"]}
    fallen = runs * cells["linear", "guard-curvature"]
    said = f"{fallen:.0f} of {runs} transformers sacrifice one where linear weights do in "
    assert f"{said}{100 * cells['linear', 'none']:.0f} %" in README
    assert f"is the record, {summary['runs']:,} runs." in INTERFERENCE
    assert f"all enumerated, {runs} of each kind" in INTERFERENCE
    assert f"the same {4 * runs} drawn worlds" in INTERFERENCE
    assert f"the same {4 * runs} small worlds" in FINDINGS
    assert f"sacrifice no run of {runs}" in INTERFERENCE


def test_the_geometry_of_six_transformers() -> None:
    records = read_records(recorded() / "geometry.jsonl")
    (own, constant), (mixed, mixed_constant) = (_worst(records, k) for k in ("tables", "mixtures"))
    shares = {kind: [100 * r[kind]["disagree"] for r in records] for kind in KINDS}
    low, high = (f"{f(shares['tables']):.0f}" for f in (min, max))
    assert mixed < own
    assert f"to within {100 * own:.1f} points in six small transformers" in LAW
    assert f"independent rewards ({low} to {high} %; a constant misses by up to " in LAW
    assert f"up to {100 * constant:.0f} points) and for mixtures" in LAW
    low, high = (f"{f(shares['mixtures']):.0f}" for f in (min, max))
    assert f"objectives ({low} to {high} %; {100 * mixed_constant:.1f})" in LAW
    assert f"where a constant {100 * _mean(records, 'modes'):.0f} % is as good" in LAW
    assert _worst(records, "modes")[1] < 0.02
    assert len(records) == 6
    assert f"threshold is {min(r['threshold'] for r in records):.3f}" in LAW


def test_the_first_update_of_the_linear_runs() -> None:
    first = [a for a in audits(llm_runs(recorded())) if (a.run.scalarizer, a.step) == ("linear", 0)]
    error = {
        n: [float(a.change(n)[1][2]) for a in first] for n in ("law", "exact_change", "measured")
    }
    ends = {n: (short(min(v), 3), short(max(v), 3)) for n, v in error.items()}
    assert "for clarity (standard errors {} to {})".format(*ends["exact_change"]) in FINDINGS
    assert "and −.020 ({} to {}). The bare".format(*ends["measured"]) in FINDINGS
    law = [float(a.change("law")[0][2]) for a in first]
    values = f"+{short(law[0], 3)}, {short(law[1], 3)} and {short(law[2], 3)}"
    assert f"signal says {values} ({ends['law'][0]})" in FINDINGS
    assert set(ends["law"]) == {".002"}


def test_what_a_fast_ctwa_buys() -> None:
    runs = [r for r in llm_runs(recorded()) if r.scalarizer == "ctwa-fast"]
    curve = np.mean([r.column("reward_mean") for r in runs], 0)
    start, end = (np.mean([getattr(r.ends, side) for r in runs], 0) for side in ("start", "end"))
    clear = f"{short(start[2])} → {short(curve[25, 2])} at step 25 → {short(end[2])} over"
    assert f"clarity alive ({clear}" in FINDINGS
    terse = " → ".join(map(short, (start[1], curve[25, 1], end[1])))
    assert f"conciseness ({terse}), with accuracy at {short(end[0])}" in FINDINGS
    assert f"has not settled after {len(curve)} steps" in FINDINGS
    preset = tomllib.loads((ROOT / "llm/presets/cpu-demo.toml").read_text(encoding="utf-8"))
    published = signature(Ctwa.__init__).parameters["step"].default
    ratio = preset["options"]["ctwa-fast"]["step"] / published
    assert f"with a step {ratio:.0f} times the published one, keeps" in FINDINGS
    assert f"a step {ratio:.0f} times the published one, was" in FINDINGS
    lost = [(r.ends.lost[2], -r.ends.change[2] / r.ends.error[2]) for r in runs]
    fell = [f"{100 * share:.0f} % by {errors:.1f}" for share, errors in lost if errors > 0]
    said = f"`ctwa-fast` ends {fell[0]} standard errors and {fell[1]} below its start in clarity"
    assert said in INTERFERENCE


def test_the_linear_runs_end() -> None:
    runs = [r for r in llm_runs(recorded()) if r.method == "linear"]
    end = np.mean([r.ends.end for r in runs], 0)
    assert short(end[0]) == short(end[1])
    assert f"while accuracy and conciseness rise to {short(end[0])}." in FINDINGS


def test_the_study_of_rl_loops() -> None:
    found = json.loads((DATA / "study-llm" / "verdict.json").read_text(encoding="utf-8"))
    runs, audited = len(found["runs"]), found["pairs"]["exact_change"]["of"] // 3
    assert f"Over the {runs} runs ({audited} audits" in FINDINGS
    assert f"three seeds each, {runs} steps of two inner steps" in FINDINGS
    table = json.loads((DATA / "study-llm" / "summary.json").read_text(encoding="utf-8"))["table"]
    lost = {c["algorithm"]: round(c["runs"] * c["sacrifices"]["mean"]) for c in table}
    assert {c["runs"] for c in table} == {9}
    assert f"in {lost['linear']} of 9 runs, CTWA as published in {lost['ctwa']}" in INTERFERENCE
    said = f"`ctwa-fast` in {lost['ctwa-fast']}, covariance-MGDA in {lost['covariance_mgda']}, MGDA"
    assert f"{said} in {lost['mgda']}." in INTERFERENCE


def test_what_a_certificate_promises() -> None:
    assert (
        f"wrong at most 1 in {1 / WRONG:.0f}, a true zero at most 1 in {0.5 / WRONG:.0f}" in LIMITS
    )
    assert NOMINAL == WRONG / 2
    assert f"have probabilities from {bare(min(RARE))} to {bare(max(RARE))}, ratios" in LIMITS


def test_what_verdicts_and_slopes_promise() -> None:
    assert f"refuted at most once in {1 / ERROR_RATE:,.0f} verdicts" in LIMITS
    slopes = of_kinds(read_records(DATA / "ladder" / "slopes.jsonl"))
    low, high = min(slopes), max(slopes)
    assert f"{100 * low:.0f} to {100 * high:.0f} % of sets of audits" in LIMITS


def of_kinds(records: list[dict]) -> list[float]:
    """Shares of intervals that hold 1, as slopes are fitted: errors alike, correlation used."""
    fitted = [r for r in records if (r["weights"], r["correlation"]) == ("alike", "used")]
    return [r["covered"] / r["n"] for r in fitted]


def test_what_an_alarm_of_a_log_is() -> None:
    windows = ", ".join(map(str, WINDOWS[:-1]))
    assert f"a window of {windows} or {WINDOWS[-1]} steps" in INSPECT
    assert f"a probability of at most 1 in {1 / ALARMS:.0f}" in INSPECT
    assert f"one or more in a log without any: at most 1 in {1 / ALARMS:.0f}" in LIMITS


def test_what_the_guard_draws_by_default() -> None:
    on = GuardSettings()
    assert f"Each step draws `rows` ({on.rows}) completions" in GUARD
    assert f"and `check` ({on.check}) that judge it" in GUARD
    assert f"with `strength` {bare(RestoringFloors.strength)} and" in GUARD


def test_what_the_words_of_interference_mean() -> None:
    limit = f"{100 * SACRIFICE:.0f} %"
    assert f"**sacrificed** where that is above {limit} and" in INTERFERENCE
    assert f"it is sacrificed where the size is above {limit} too" in INTERFERENCE
    assert f"there is no noise and the {limit} decide" in INTERFERENCE
    assert f"**sacrificed** if it ends more than {limit} of" in FINDINGS
    assert f"a tenth of the run, at least 1 and at most {END_STEPS}." in INTERFERENCE
    assert f"exceeds its noise beyond {CERTAIN:.0f} of these standard errors" in INTERFERENCE
    assert f"below 0 by {CERTAIN:.0f} standard errors" in INTERFERENCE
    assert f"below 0 by more than {CLEAR:.0f} standard errors" in INTERFERENCE
    assert f"Certain falls ({CERTAIN:.0f} standard errors)" in FINDINGS
    assert f"one-sided: {bare(round(100 * norm.sf(CERTAIN), 3))} % of" in INTERFERENCE
    many, few = (short(100 * t.sf(CERTAIN, freedom)) for freedom in (120, 20))
    said = f"Student's tail is {many} % at 120 (16 prompts, $w=4$) and {few} % at 20;"
    assert said in INTERFERENCE
    first = ", ".join(map(bare, BUDGETS[:-1]))
    assert f"first reaches {first} and {bare(BUDGETS[-1])} nats" in INTERFERENCE


def test_runs_of_one_seed_share_what_their_audits_drew() -> None:
    """The ladder's slope, audit by audit and with the audits of a seed and a step as one."""
    found = [a for a in audits(llm_runs(recorded())) if a.run.config["guard"] == "off"]
    shown = []
    for share in (False, True):
        names = [(a.run.seed if share else a.run.name, a.step) for a in found]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        columns: list[list[float]] = [[], [], [], [], [], []]
        for name, audit in zip(names, found, strict=True):
            said, did = audit.record["exact_change"], audit.record["measured"]
            of = [places[name]] * len(did["estimate"])
            errors = said["se"], did["se"], of, said["correlation"]
            points = said["estimate"], did["estimate"], *errors
            for column, values in zip(columns, points, strict=True):
                column += values
        x, y, x_error, y_error, cluster, correlation = map(np.array, columns)
        slope = calibration_slope(x, y, x_error, y_error, cluster, correlation)
        shown.append(f"{short(slope.low)} to {slope.high:.2f}")
    apart, together = shown
    assert f"exact form is {together}, where audit by audit it is {apart}." in LIMITS

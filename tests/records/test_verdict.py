"""The verdict of whole runs, on records made from a known truth."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covlaw.records.verdict.falls import falls
from covlaw.records.verdict.horizons import windows
from covlaw.records.verdict.rows import OWN_BATCH, PREDICTIONS, Estimate, Pair, read_run
from covlaw.records.verdict.signs import alarms, power, signs
from covlaw.records.verdict.verdict import run_verdict
from covlaw.theory._numerics.errors import CovlawError

STEPS, ERROR = 60, 0.002


def record_run(
    folder: Path,
    changes: np.ndarray,
    seed: int = 0,
    every: int = 1,
    slope: float = 1.0,
    tails: bool = False,
) -> Path:
    """A run whose objectives change by `changes` (steps, M); forecasts are the change / slope."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    values = 0.5 + np.cumsum(np.vstack([np.zeros(changes.shape[1]), changes]), 0)

    def noisy(true: np.ndarray) -> dict[str, list[float]]:
        seen = true + ERROR * rng.normal(size=true.shape)
        return {"estimate": seen.tolist(), "se": [ERROR] * len(true)}

    lines = []
    for step, change in enumerate(changes):
        audits: list[dict[str, Any]] = []
        if step % every == 0:
            forecast = change / slope
            laws = ("law", "clipped", "clipped_centred", "first_order", "exact_change")
            own = {name: noisy(forecast) for name in laws} | {"measured": noisy(change), "scale": 1}
            tail = {"tails": {"heavy": step == 0}} if tails else {}
            audits = [{"sample": "independent", **own, **tail}]
            audits += [{"sample": "same", **own, "exact_change": noisy(2 * forecast)}]
        mean = noisy(values[step])
        lines.append(
            {
                **{"schema": 1, "seed": seed, "scalarizer": "linear", "weights": None},
                **{"step": step, "objectives": [f"r{j}" for j in range(len(change))]},
                **{"reward_mean": mean["estimate"], "reward_se": mean["se"], "audits": audits},
            }
        )
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def changes(seed: int = 5, size: float = 0.006) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=(STEPS, 2))


def test_right_forecasts_have_slope_one_at_every_horizon(tmp_path: Path) -> None:
    runs = [record_run(tmp_path / f"r{k}", changes(k), k) for k in range(4)]
    found = run_verdict(runs)
    assert list(found.agreement) == ["1", "5", "20"]
    for horizon in ("1", "5", "20"):
        slope = found.agreement[horizon]["exact_change"].slope
        assert abs(slope.value - 1) < 4 * slope.error
        assert slope.error < 0.5
    one = found.agreement["1"]["exact_change"]
    assert one.slope.points == 4 * STEPS * 2
    assert one.slope.clusters == 4 * STEPS
    # χ²/(n − 2) of n points: standard deviation √(2/n)
    assert abs(one.slope.scatter - 1) < 4 * math.sqrt(2 / one.slope.points)
    # agreements are a sum of independent draws of mean `expected`
    assert abs(one.signs.agree - one.signs.expected) < 4 * math.sqrt(one.signs.of) / 2
    assert one.signs.agree_certified >= one.signs.certified - 3
    assert abs(found.agreement["1"][OWN_BATCH].slope.value - 0.5) < 0.1


def test_a_run_without_audits_is_left_out_beside_others_and_refused_alone(tmp_path: Path) -> None:
    judged, bare = (record_run(tmp_path / name, changes()) for name in ("judged", "bare"))
    steps = bare / "steps.jsonl"
    lines = [json.loads(line) | {"audits": []} for line in steps.read_text().splitlines()]
    steps.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said: list[str] = []
    found = run_verdict([judged, bare], lambda _, __, news: said.append(news))
    assert "leaving out bare: no audits" in said
    assert repr(found.agreement) == repr(run_verdict([judged]).agreement)  # NaN is not NaN
    with pytest.raises(CovlawError, match="bare has no audits yet"):
        run_verdict([bare])


def test_forecasts_that_promise_too_much_are_found_out(tmp_path: Path) -> None:
    found = run_verdict([record_run(tmp_path / "r", changes(), slope=0.5)])
    slope = found.agreement["1"]["law"].slope
    assert slope.high < 1
    assert abs(slope.value - 0.5) < 4 * slope.error


def test_stretches_hold_the_newest_forecast_and_share_no_batch(tmp_path: Path) -> None:
    run = read_run(record_run(tmp_path / "r", changes(), every=7))
    found = list(windows(run, 10))
    assert [p.step for p in found[::2]] == [0, 14, 28, 42]
    audits = {(p.step, p.objective): p.forecasts["law"] for p in run.audits}
    first, second = audits[14, "r1"], audits[21, "r1"]
    pair = next(p for p in found if p.step == 14 and p.objective == "r1")
    # sums of ten numbers below 1
    assert pair.forecasts["law"].value == pytest.approx(
        7 * first.value + 3 * second.value, abs=1e-14
    )
    assert pair.forecasts["law"].error == pytest.approx(ERROR * math.hypot(7, 3), rel=1e-14)
    assert pair.realised.value == run.values[24][1].value - run.values[14][1].value
    assert pair.realised.error == pytest.approx(ERROR * math.sqrt(2), rel=1e-14)
    assert not list(windows(run, STEPS))
    # a stretch that began at step 10 would share that batch with the one from 0 to 10
    even = read_run(record_run(tmp_path / "even", changes(), every=10))
    assert [p.step for p in windows(even, 10)][::2] == [0, 20, 40]


def pair(forecast: tuple[float, float], realised: tuple[float, float]) -> Pair:
    return Pair("r", 0, "o", dict.fromkeys(PREDICTIONS, Estimate(*forecast)), Estimate(*realised))


ALARMED = [
    pair((-0.4, 0.1), (-0.3, 0.1)),  # confirmed
    pair((-0.4, 0.1), (0.3, 0.1)),  # false
    pair((-0.4, 0.1), (0.1, 0.1)),  # undecided
    pair((-0.2, 0.1), (-0.3, 0.1)),  # not certified: missed
    pair((0.4, 0.1), (0.3, 0.1)),
    pair((math.nan, math.inf), (0.3, 0.1)),
]


def test_alarms_are_confirmed_false_or_undecided() -> None:
    assert alarms(ALARMED, "law") == (3, 1, 1, 1, 2, 1)
    assert alarms(ALARMED[-1:], "law") == (0,) * 6


def test_signs_count_all_certified_and_clear_pairs() -> None:
    found = signs(ALARMED, "law")
    assert (found.agree, found.of) == (3, 5)
    assert (found.agree_certified, found.certified) == (2, 4)
    assert (found.agree_clear, found.clear) == (2, 3)
    # Φ(.4/√.02) four times and Φ(.2/√.02)
    assert found.expected == pytest.approx(4 * 0.99766 + 0.92135, abs=2e-5)


def test_a_sign_is_certified_as_its_audit_certified_it(tmp_path: Path) -> None:
    """The audit saw the rare completions and few prompts that recorded numbers don't show."""
    run = record_run(tmp_path / "r", changes(), every=30)
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    for line in lines:
        for audit in line["audits"]:
            said = [line["step"] == 0, line["step"] > 0]
            audit.update({"certified": {"law": said, "exact_change": said}})
    (run / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for found in read_run(run).audits:
        expected = (found.step == 0) == (found.objective == "r0")
        assert found.forecasts["law"].certified == expected
        assert found.forecasts["exact_change"].certified == expected
        assert found.forecasts[OWN_BATCH].certified == expected
        plain = found.forecasts["first_order"]  # not said: 3 standard errors
        assert plain.certified == (abs(plain.value) > 3 * plain.error)


def test_power_is_in_units_of_the_objective() -> None:
    found = power(ALARMED, "law")
    assert found.certified_from == pytest.approx(0.3)
    assert found.seen_from == pytest.approx(0.38416, abs=1e-5)  # Φ⁻¹(.8) = .84162
    assert (found.certified, found.of) == (4, 5)


def test_a_fall_is_announced_before_the_curve_shows_it(tmp_path: Path) -> None:
    moves = np.zeros((STEPS, 2))
    moves[20:40, 0] = -0.01
    moves[:, 1] = 0.001
    run = read_run(record_run(tmp_path / "r", moves, every=4))
    (found,) = falls(run)
    assert found.objective == "r0"
    assert abs(found.change.value + 0.2) < 4 * found.change.error
    # from step 21 on; the curve shows it within its window of 5
    assert 21 <= found.step <= 26
    assert found.lead["exact_change"] == found.step - 20
    silent = [
        p._replace(forecasts=dict.fromkeys(PREDICTIONS, Estimate(0.0, 1.0))) for p in run.audits
    ]
    (missed,) = falls(run._replace(audits=silent))
    assert missed.lead["law"] is None


def test_a_steady_run_has_no_falls(tmp_path: Path) -> None:
    assert not list(falls(read_run(record_run(tmp_path / "r", np.zeros((STEPS, 2))))))


def test_the_record_is_json_and_says_how_many_audits_had_heavy_tails(tmp_path: Path) -> None:
    record = run_verdict([record_run(tmp_path / "r", changes(), every=20, tails=True)]).to_dict()
    assert record["heavy_tails"] == {"heavy": 1, "audits": 3}
    assert record["runs"] == ["r"]
    assert len(record["audits"]) == 6
    assert json.dumps(record)


def test_runs_are_told_apart_and_none_counts_twice(tmp_path: Path) -> None:
    a, b = (record_run(tmp_path / k / "llm", changes(), every=30) for k in "ab")
    names = [run.name for run in run_verdict([a, b]).runs]
    assert names == [str(a), str(b)]
    with pytest.raises(CovlawError, match="given twice"):
        run_verdict([a, tmp_path / "a" / ".." / "a" / "llm"])
    with pytest.raises(CovlawError, match="no run given"):
        run_verdict([])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.toml").write_text("")
    with pytest.raises(CovlawError, match="no audits yet"):
        run_verdict([tmp_path / "c"])

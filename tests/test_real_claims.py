"""The record of the real model's runs: whole, small, and consistent with itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from covlaw.records.real import FILE, Record, measured_slope, methods, real_record, runs_of, seeds
from covlaw.theory.estimators.bootstrap import LEVEL

FOLDER = Path(__file__).parents[1] / "figures" / "data" / "real"
RECORD = real_record(FOLDER)
LARGEST, STEPS = 300_000, 40
"""Bytes of the record; the fewest steps of a run."""
ROUNDED = 5e-5
"""Of prompts' means and of intervals: five digits of numbers below 1 in size are kept."""


def by_prompt(run: Record) -> np.ndarray:
    return np.array(run["by_prompt"]) - np.array(RECORD["base"]["by_prompt"])


def test_it_is_small_and_names_no_place() -> None:
    text = (FOLDER / FILE).read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert '"/' not in text
    assert " /" not in RECORD["command"]
    assert RECORD["environment"]["packages"]["torch"]
    assert RECORD["model"] == "smollm2"


def test_every_run_is_whole() -> None:
    assert "linear" in methods(RECORD)
    for method in methods(RECORD):
        assert {run["seed"] for run in runs_of(RECORD, method)} <= set(seeds(RECORD))
    for name, run in RECORD["runs"].items():
        assert name == f"{run['method']}-seed{run['seed']}"
        assert run["steps"] == len(run["reward_mean"]) == len(run["moved"]) >= STEPS
        assert len(run["by_prompt"]) == RECORD["sizes"]["prompts"]
        assert (run["guard"] is not None) == (run["method"] == "guarded")
        assert {audit["step"] for audit in run["audits"]} >= {0, run["steps"] - 1}
        if run["guard"]:
            shares = np.array(run["guard"]["shares"])
            assert shares.shape == (run["steps"], len(RECORD["objectives"]))
            assert np.all(shares >= 0)
            assert np.all(shares.sum(1) <= 1 + 1e-4)


@pytest.mark.parametrize("name", RECORD["runs"])
def test_changes_are_those_of_the_prompts(name: str) -> None:
    """Means of pairs; their intervals by another bootstrap lie within its own error."""
    run = RECORD["runs"][name]
    change = by_prompt(run)
    rng = np.random.default_rng(1)
    drawn = change[rng.integers(len(change), size=(4000, len(change)))].mean(1)
    limits = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    for j, objective in enumerate(RECORD["objectives"]):
        told = run["held_out"][objective]
        assert told["mean"] == pytest.approx(change[:, j].mean(), abs=2 * ROUNDED)
        # a 2.5 % quantile of 2,000 draws errs by .06 of their spread, of 4,000 by .04; five times
        slack = 0.4 * drawn[:, j].std() + 2 * ROUNDED
        assert told["low"] == pytest.approx(limits[0, j], abs=slack)
        assert told["high"] == pytest.approx(limits[1, j], abs=slack)


def test_its_audits_measure_what_the_exact_form_says() -> None:
    """As far as 128 completions tell: 0, no relation, is refuted at later steps, and 1 is not."""
    first, later = (measured_slope(RECORD, first=first) for first in (True, False))
    assert first.low <= 1 <= first.high
    assert 0 < later.low <= 1 <= later.high


def test_audits_of_one_seed_and_step_are_left_out_together() -> None:
    """They share prompts and random numbers: copies of a method's runs tell nothing more."""
    runs = runs_of(RECORD, "linear")
    twice = {"runs": {f"{k}-{j}": run for j in range(4) for k, run in enumerate(runs)}}
    once = measured_slope({"runs": dict(enumerate(runs))}, first=False)
    again = measured_slope(twice, first=False)
    assert again.clusters == once.clusters == len({(r["seed"], a["step"]) for r in runs
                                                   for a in r["audits"] if a["step"]})  # fmt: skip
    assert (again.low, again.high) == pytest.approx((once.low, once.high))


def test_the_base_is_the_same_for_all() -> None:
    base = np.array(RECORD["base"]["by_prompt"])
    for cell, column in zip(RECORD["base"]["means"], base.T, strict=True):
        assert cell["mean"] == pytest.approx(column.mean(), abs=2 * ROUNDED)
        assert cell["low"] <= cell["mean"] <= cell["high"]
    assert json.dumps(RECORD)  # no NaN

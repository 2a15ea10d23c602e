"""The study's LLM runs: what their records say, and (slow) a tiny one from base model to row."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from covlaw.ladder.cli import main
from covlaw.ladder.study.guard_plan import EVERY_LLM, GRAMIAN_ON_LLM, ON_LLM
from covlaw.ladder.study.llm import record_of
from covlaw.ladder.study.plan import all_runs, study_jobs
from covlaw.ladder.study.rows import measured, settings_of
from covlaw.ladder.study.run import turn
from covlaw.ladder.study.settings import StudySettings
from covlaw.llm.config.train_config import TrainConfig
from covlaw.records.ladder import LlmRun
from covlaw.records.runs import read_lines

STEPS = 20


def audit(law: list[float], measured: list[float], scale: float = 0.5) -> dict[str, Any]:
    pair = {"law": law, "measured": measured}
    return {
        "sample": "independent",
        **{name: {"estimate": values, "se": [0.01, 0.01]} for name, values in pair.items()},
        "scale": scale,
    }


def recorded() -> LlmRun:
    """The first objective rises, the second falls from .8 to .1; audits at steps 0, 5 and 19."""
    same = {"sample": "same", "law": {"estimate": [-9.0, -9.0], "se": [0.01, 0.01]}}
    audits = {
        0: [audit([0.2, -0.02], [0.1, -0.1])],  # not certified, yet it fell
        5: [audit([0.2, -0.2], [0.1, -0.1]), same],
        19: [audit([-0.1, -0.1], [0.1, -0.02])],  # two false alarms
    }
    shares = [k / (STEPS - 1) for k in range(STEPS)]
    steps = [
        {
            "step": k,
            "seed": 0,
            "scalarizer": "ctwa",
            "objectives": ["accuracy", "clarity"],
            "reward_mean": [0.2 + 0.6 * share, 0.8 - 0.7 * share],
            "reward_se": [None, 0.02],
            "weights": [0.5, 0.5],
            "audits": audits.get(k, []),
        }
        for k, share in enumerate(shares)
    ]
    return LlmRun("run", steps)


def test_a_record_says_what_the_steps_and_the_independent_audits_say() -> None:
    record = record_of(recorded())
    assert record.values.shape == (STEPS, 2)
    assert record.window == 2
    assert record.alarms.nonzero().tolist() == [[5, 1]], "a forecast at the last step has no next"
    assert record.counts.alarms.tolist() == [1, 2]
    assert record.counts.falls.tolist() == [0, 2]
    assert record.counts.hits.tolist() == [0, 1]
    assert record.weights.tolist() == [0.5, 0.5]


def test_a_step_against_its_signal_turns_the_alarm() -> None:
    """A positive covariance announces a fall where the optimiser steps the other way."""
    steps = recorded().steps
    steps[5]["audits"] = [audit([0.2, -0.2], [-0.1, 0.1], scale=-0.5)]
    record = record_of(LlmRun("run", steps))
    assert record.alarms.nonzero().tolist() == [[5, 0]]
    assert record.counts.hits.tolist() == [1, 0]


def test_what_noise_explains_is_no_sacrifice() -> None:
    settings = StudySettings(("llm",), ("ctwa",), seeds=1)
    steps = [{**step, "reward_se": [0.02, 0.4]} for step in recorded().steps]
    run = all_runs(settings)[0]
    row = measured(settings_of(run, {}, STEPS), record_of(LlmRun("run", steps)))
    assert row["regression"][1] > 0.1
    # the fall of .66 is 1.65 times its standard error .4 (2 steps at either end)
    assert row["sacrificed"] == [False, False]


def test_a_row_of_an_llm_run() -> None:
    settings = StudySettings(("llm",), ("ctwa",), seeds=1)
    run = all_runs(settings)[0]
    row = measured(settings_of(run, {"base": "default"}, STEPS), record_of(recorded()))
    assert row["sacrificed"] == [False, True]
    # below .72 (a tenth less than the start) at step 3; the alarm at 5 comes too late
    assert row["lead_time"][1] != row["lead_time"][1]
    assert row["regression"][1] == pytest.approx(1 - row["end"][1] / row["start"][1])


def test_runs_without_audits_have_no_alarms() -> None:
    steps = [{**step, "audits": [], "weights": None} for step in recorded().steps]
    record = record_of(LlmRun("run", steps))
    assert not record.alarms.any()
    assert record.counts.falls.tolist() == [0, 0]
    assert torch.isnan(record.weights).all()


def test_llm_runs_are_done_only_when_asked_for() -> None:
    assert "llm" not in StudySettings().worlds
    runs = all_runs(StudySettings(("llm",), ("linear", "ctwa")))
    assert {run.cell for run in runs} == {0, 1, 2}


def test_guarded_llm_runs_are_pairs_and_linear_weights_have_every_variant() -> None:
    settings = StudySettings(("llm",), ("linear", "mgda"), seeds=2, guard=True)
    found: dict[tuple[str, int, int], list[str]] = {}
    for run in all_runs(settings):
        found.setdefault((run.algorithm, run.cell, run.seed), []).append(run.guard)
    assert {key: set(names) for key, names in found.items()} == {
        (algorithm, cell, seed): set(names)
        for algorithm, names in (("linear", ON_LLM), ("mgda", ("none", "guard", "gramian-crossed")))
        for cell in range(3)
        for seed in range(2)
    }
    assert GRAMIAN_ON_LLM["gramian-crossed"] == {"gramian": "crossed"}
    for own in ON_LLM.values():
        assert TrainConfig.preset("cpu-demo", **own).guard == own.get("guard", "off")


def test_pairs_come_first_and_a_seed_at_a_time() -> None:
    jobs = study_jobs(StudySettings(("bandit", "llm"), ("linear",), seeds=2, guard=True))
    order = [job.runs[0] for job in sorted(jobs, key=turn) if job.world == "llm"]
    assert [(run.guard in EVERY_LLM, run.seed) for run in order] == sorted(
        ((run.guard in EVERY_LLM, run.seed) for run in order), key=lambda p: (not p[0], p[1])
    )
    assert sorted(jobs, key=turn)[0].world == "bandit"


@pytest.mark.slow
def test_a_tiny_guarded_llm_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVLAW_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "study"
    command = ["study", "--worlds", "llm", "--quick", "--guard", "--out", str(out)]
    assert main([*command, "--scalarizers", "linear", "--signals", "grpo"]) == 0
    rows = list(read_lines(out / "runs.jsonl"))
    assert {row["guard"] for row in rows} == set(ON_LLM)
    assert all(row["error"] is None for row in rows)
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))["guards"]
    pairs = {own["guard"]: own["less none"]["end"]["hypervolume"]["n"] for own in told[1:]}
    assert pairs == dict.fromkeys([name for name in ON_LLM if name != "none"], 2)


@pytest.mark.slow
def test_a_tiny_llm_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVLAW_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "study"
    command = ["study", "--worlds", "llm", "--quick", "--out", str(out)]
    names = ("linear", "ctwa", "ctwa-guided", "mgda", "tchebycheff-ref", "lagrangian")
    assert main([*command, "--scalarizers", *names]) == 0
    rows = list(read_lines(out / "table.jsonl"))
    assert {row["algorithm"] for row in rows} == set(names)
    assert {row["base"] for row in rows} == {"default", "small"}
    assert {row["objective"] for row in rows} == {"accuracy", "conciseness", "clarity"}
    assert all(row["error"] is None for row in rows)
    assert any(row["lead_time"] is None for row in rows)
    again = tmp_path / "again"
    assert main([*command[:-1], str(again), "--scalarizers", *names]) == 0
    assert (again / "table.jsonl").read_bytes() == (out / "table.jsonl").read_bytes()

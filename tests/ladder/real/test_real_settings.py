"""What `make real` is given: settings of every run, numbers that work, and the command again."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import real_runs

from covlaw.ladder.commands.llm.settings import read_settings
from covlaw.ladder.real import estimate
from covlaw.ladder.real.__main__ import main, make_parser
from covlaw.ladder.real.command import command_of
from covlaw.ladder.real.judged import Sizes
from covlaw.ladder.real.settings import METHODS, jobs_of, require_shared
from covlaw.llm.config.train_config import TrainConfig
from covlaw.theory._numerics.errors import CovlawError


def configs_of(out: Path, changes: dict[str, Any], seeds: int = 1) -> dict[Any, TrainConfig]:
    given = {"model": "smollm2", "steps": 3, "audits": 1, "threads": 1}
    jobs = jobs_of(list(METHODS), seeds)
    return {job: job.config(out, given | changes) for job in jobs}


def test_settings_that_methods_have_too_are_the_users(tmp_path: Path) -> None:
    changes = {"evaluate_every": 5, "guard_options.rows": 2, "guard_options.floors": "zero"}
    found = {job.method: config for job, config in configs_of(tmp_path, changes).items()}
    assert {config.evaluate_every for config in found.values()} == {5}
    options = found["guarded"].guard_options
    assert (options["rows"], options["check"], options["floors"]) == (2, 0, "zero")
    assert all(found[m].guard_options == {} for m in METHODS if m != "guarded")
    unset = {job.method: config for job, config in configs_of(tmp_path, {}).items()}
    options = unset["guarded"].guard_options
    assert (unset["guarded"].guard, options["rows"], options["check"]) == ("on", 4, 0)
    assert {config.evaluate_every for config in unset.values()} == {0}


@pytest.mark.parametrize("pair", ["out=runs/x", "seed=3", "scalarizer=mgda", "guard=needed"])
def test_what_each_run_has_of_its_own_is_refused(
    pair: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--set", pair]) == 2
    assert f"--set {pair.split('=')[0]}: --" in capsys.readouterr().err


def refuse_work(*_: object) -> None:
    raise AssertionError("work was begun")


@pytest.mark.parametrize(
    ("option", "value"),
    [("seeds", 0), ("prompts", 1), ("prompts", -4), ("steps", 0), ("audits", -2)],
)
def test_numbers_that_do_not_work_are_refused_before_any_work(
    option: str, value: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "measured_speeds", refuse_work)
    assert main([f"--{option}", str(value)]) == 2
    assert f"--{option} is {value}: use a whole number ≥" in capsys.readouterr().err


def test_the_tool_refuses_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--prompts", "1"), ("--threads", "-1")):
        assert real_runs.main([str(tmp_path), option, value]) == 2
        assert f"{option} is {value}" in capsys.readouterr().err
    assert real_runs.main([str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err


def test_settings_after_several_set_add_up() -> None:
    assert make_parser().parse_args(["--set", "a=1", "b=2", "--set", "c=3"]).set == [
        "a=1",
        "b=2",
        "c=3",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"threads": 2, "temperature": 1.25, "dtype": "float32", "evaluate_every": 2},
        {"task_options.suffix": "Answer 'so', \"now\".\n", "guard_options.rows": 2},
        {"task_options": {"difficulty": "digits", "seed": 3}, "rewards": ["ends", "x=right"]},
        {"task_options": {}, "system_prompt": "true", "options.linear.weights": [1, 2, 0.5]},
        {"loss": "cispo", "train_layers": 0, "lora": {"rank": 2}},
        {"algorithm": "grpo"},
        {"chat_template": "{% for m in messages %}{{ m.content }} = é\n{% endfor %}"},
    ],
    ids=str,
)
def test_the_printed_command_makes_the_same_runs(changes: dict[str, Any], tmp_path: Path) -> None:
    configs = configs_of(tmp_path / "one", changes, seeds=2)
    program, module, *words = shlex.split(command_of(configs, Sizes(12)))[1:]
    assert (program, module) == ("-m", "covlaw.ladder.real")
    given = make_parser().parse_args(words)
    assert given.prompts == 12
    own = read_settings(given.set)
    require_shared(own, given.methods)
    named = {"model": given.model, "steps": given.steps, "audits": given.audits}
    again = {
        job: job.config(tmp_path / "one", named | own)
        for job in jobs_of(given.methods, given.seeds)
    }
    assert {job: c.to_dict() for job, c in again.items()} == {
        job: c.to_dict() for job, c in configs.items()
    }


def test_the_printed_command_is_short_where_nothing_is_changed(tmp_path: Path) -> None:
    configs = configs_of(tmp_path, {})
    only = {job: config for job, config in configs.items() if job.method != "mgda"}
    assert command_of(only) == (
        "python -m covlaw.ladder.real --model smollm2 --seeds 1 --steps 3 --audits 1 "
        "--methods linear guarded ctwa-fast --set threads=1"
    )


@pytest.mark.parametrize(("steps", "times"), [(4, 3), (5, 4)])
def test_evaluations_that_are_asked_for_are_in_the_estimate(
    steps: int, times: int, tmp_path: Path
) -> None:
    changes = {"steps": steps, "evaluate_every": 2, "evaluate_prompts": 3}
    (with_them, without) = (
        next(iter(configs_of(tmp_path, changes | more).values()))
        for more in ({}, {"evaluate_every": 0})
    )
    slow = estimate.Speed(draw=1.0, forward=0.0)
    apart = estimate.seconds_of(with_them, slow) - estimate.seconds_of(without, slow)
    draws = times * 3 * with_them.evaluate_completions  # in float32, and bfloat16 samples the steps
    assert apart == pytest.approx(estimate.FLOAT32 * draws)


def test_an_unknown_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--set", "temperatur=1"]) == 2
    assert "did you mean temperature" in capsys.readouterr().err
    with pytest.raises(CovlawError, match="--seeds says it"):
        require_shared({"seed": 1}, ["linear"])
    with pytest.raises(CovlawError, match="none of the methods has a guard"):
        require_shared({"guard_options.rows": 2}, ["linear", "mgda"])
    require_shared({"guard_options.rows": 2}, ["linear", "guarded"])

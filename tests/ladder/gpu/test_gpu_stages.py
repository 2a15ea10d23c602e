"""The stages of `make gpu` at tiny size: all of them, stopped anywhere, without a GPU, in time."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from covlaw.ladder.gpu import __main__ as command
from covlaw.ladder.gpu import stages
from covlaw.ladder.gpu.budget import EVERY, Budget, Steps, TimeIsUpError, ended_by_budget
from covlaw.ladder.gpu.scale import FULL, METHODS, TINY
from covlaw.ladder.gpu.stages import STAGES
from covlaw.ladder.real.settings import Job
from covlaw.llm.base.large_config import LargeConfig
from covlaw.theory._numerics.errors import CovlawError

RECORD = {
    *("about.json", "base.json", "verdict.json", "throughput.json", "real.json"),
    *(f"{method}.jsonl" for method in METHODS),
}
SMALLER = replace(
    TINY,
    base=replace(
        TINY.base, width=16, feed_forward=24, steps=6, batch=12, checkpoint_every=2,
        difficulty="digits", also=("products",),
    ),
    overrides={
        **TINY.overrides, "steps": 2, "audits": 1, "task_options.difficulty": "digits"
    },
)  # fmt: skip


class Clock:
    """A clock that moves on by itself, a tick each time it is read."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


main = partial(command.main, tiny=SMALLER)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage is done."""
    out = tmp_path_factory.mktemp("gpu") / "out"
    assert main(["--tiny", "--out", str(out)]) == 0
    return out


def state(out: Path) -> dict[str, str]:
    return {name: s["status"] for name, s in json.loads((out / "stages.json").read_text()).items()}


def test_every_stage_finishes_and_its_record_is_small(finished: Path) -> None:
    assert state(finished) == dict.fromkeys(STAGES, "finished")
    files = list((finished / "record").iterdir())
    assert {file.name for file in files} == RECORD
    assert sum(file.stat().st_size for file in files) < 200_000
    real = json.loads((finished / "record" / "real.json").read_text())
    assert set(real["runs"]) == {"linear-seed0", "guarded-seed0"}
    assert real["settings"]["device"] == "cpu"
    verdict = json.loads((finished / "record" / "verdict.json").read_text())
    assert verdict["runs"] == list(METHODS)
    assert len(verdict["audits"]) == len(METHODS) * 3


def test_a_tiny_record_says_that_it_is_no_result(finished: Path, capsys) -> None:
    about = json.loads((finished / "record" / "about.json").read_text())
    assert "measures nothing" in about["about"]
    assert about["environment"]["device"] == "cpu"
    assert about["command"].startswith("python -m covlaw.ladder.gpu --tiny")
    inside = finished / "figures" / "data" / "gpu"
    assert main(["--tiny", "--out", str(finished), "--record", str(inside)]) == 2
    assert "is for results of a GPU" in capsys.readouterr().err


def test_a_second_command_does_nothing_again(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    made = {
        p: p.read_bytes() for p in (out / "throughput.json", out / "runs/ctwa-fast/steps.jsonl")
    }
    stages.train_base(work := stages.Work(SMALLER, out, Budget(1e-9)))
    stages.time_all(work)
    assert all(path.read_bytes() == content for path, content in made.items())


def test_stages_stopped_again_and_again_end_with_the_same_steps(
    finished: Path, tmp_path: Path, capsys
) -> None:
    out, commands, arguments = tmp_path / "out", 0, ["--tiny", "--minutes", "0.5", "--out"]
    while commands == 0 or "stopped" in state(out).values():
        assert commands < 20, "no command brings it further"
        assert main([*arguments, str(out)], clock=Clock(2.0)) == 0
        commands += 1
        said = capsys.readouterr().err
        assert ("to continue: python -m covlaw.ladder.gpu --tiny --minutes 0.5" in said) == (
            "stopped" in state(out).values()
        )
    assert commands > 3
    for method in METHODS:
        name = f"{method}.jsonl"
        assert (out / "record" / name).read_bytes() == (finished / "record" / name).read_bytes()


def test_a_stage_waits_for_what_it_starts_from(tmp_path: Path, capsys) -> None:
    arguments = ["--tiny", "--out", str(tmp_path), "--stages", "runs", "verdict"]
    assert main(arguments) == 0
    assert state(tmp_path) == {"runs": "waits", "verdict": "waits"}
    assert "stage 'base' has not finished" in capsys.readouterr().err


def test_a_stage_that_fails_does_not_stop_the_others(tmp_path: Path, capsys) -> None:
    def broken(_: stages.Work) -> str:
        raise torch.OutOfMemoryError("CUDA out of memory")

    arguments = ["--tiny", "--out", str(tmp_path), "--stages", "base", "throughput"]
    assert main(arguments, stages={**STAGES, "base": broken}) == 3
    assert state(tmp_path) == {"base": "failed", "throughput": "finished"}
    assert "CUDA out of memory" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_without_a_gpu_it_says_so_and_what_else_can_be_done(tmp_path: Path, capsys) -> None:
    assert main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "nothing was measured" in said
    assert "make gpu ARGS=--tiny" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "vrdict"], "did you mean verdict"),
        (["--minutes", "0"], "give a positive number"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, tmp_path: Path, capsys) -> None:
    assert main(["--tiny", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_missing_packages_are_named_with_the_way_to_bring_them(capsys) -> None:
    assert main(["--tiny"], needed=("torch", "tomli_w_missing")) == 2
    said = capsys.readouterr().err
    assert "tomli_w_missing" in said
    assert "make gpu-wheels" in said


def test_time_is_up_before_a_step_that_would_not_end_in_it() -> None:
    lines: list[str] = []
    steps = Steps("work", Budget(1.0, Clock(7.0)), lines.append)  # clock: 7 at the start, 14 now
    steps(1, 100, "news")
    steps(2, 100, "news")
    with pytest.raises(TimeIsUpError, match="budget of 1 minutes is used up"):
        steps(3, 100, "news")  # two readings a step: 7 + 60 − 56 s are left, and a step takes 14
    assert lines[0].startswith("work: 1 of 100, 11.6 min left, news")  # 99 × 7 s
    assert len(lines) == 3, f"steps of 14 s each have a line, {EVERY} s apart or more"


def test_work_that_is_done_is_not_stopped() -> None:
    steps = Steps("work", Budget(0.5, Clock(60.0)), lambda _: None)
    steps(5, 5, "")


def test_only_the_budgets_own_end_counts_as_such() -> None:
    wrapped = CovlawError("stopped after step 3")
    wrapped.__cause__ = TimeIsUpError("time is up")
    assert ended_by_budget(wrapped)
    assert not ended_by_budget(CovlawError("diverged"))


def test_the_full_size_is_what_the_documentation_says() -> None:
    assert FULL.base == LargeConfig(dtype="bfloat16", device="cuda")
    config = FULL.run_config("ctwa-fast", "folder", "out")
    assert (config.scalarizer, config.dtype, config.device) == ("ctwa-fast", "bfloat16", "cuda")
    assert config.task_options == {"difficulty": FULL.base.difficulty}
    settings = FULL.real_settings("smollm2")
    assert (settings["device"], settings["steps"], settings["train_layers"]) == ("cuda", 200, 0)
    assert Job("guarded", 0).config(Path("out"), settings).guard == "on"
    assert FULL.timing_config().gradient_checkpointing is False

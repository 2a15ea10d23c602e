"""What a climbing ladder shows: names as they are, and a time to the end that can be believed."""

import io
import json
from pathlib import Path

import pytest
import tomli_w
from rich.console import Console

from covlaw.ladder.climb.live import Display
from covlaw.ladder.climb.plan import Job, Settings
from covlaw.ladder.climb.state import ClimbState


class Clock:
    """A clock that moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def check(name: str, cost: float) -> Job:
    return Job("check", name, (), cost)


def do(state: ClimbState, clock: Clock, job: Job, seconds: float) -> None:
    state.started(job)
    clock.now += seconds
    state.finished(job)


def half_done_run(folder: Path, name: str, steps: int, done: int) -> None:
    run = folder / "llm" / name
    run.mkdir(parents=True)
    (run / "config.toml").write_text(tomli_w.dumps({"steps": steps}))
    record = {"objectives": ["[/bold]"], "reward_mean": [0.5]}
    for file in ("steps.jsonl", "timing.jsonl"):
        (run / file).write_text((json.dumps(record) + "\n") * done)


def test_without_a_terminal_names_in_brackets_are_printed(tmp_path: Path) -> None:
    state = ClimbState(Settings(), tmp_path, {})
    half_done_run(tmp_path, "ctwa-seed0", 10, 5)
    state.started(Job("base", "base model", (), 1.0))
    state.started(Job("train", "ctwa-seed0", (), 1.0))
    shown = io.StringIO()
    with Display(Console(file=shown, width=60), 2) as show:
        show(state)
    assert "[base model, ctwa-seed0 5/10 [/bold] 0.50]" in shown.getvalue()
    assert shown.getvalue().count("\n") == 1


def test_a_base_model_that_was_there_does_not_shorten_the_rest(
    tmp_path: Path, clock: Clock
) -> None:
    state, base = (
        ClimbState(Settings(), tmp_path, {}, clock=clock),
        Job("base", "base model", (), 100.0),
    )
    jobs = [check(str(k), 20.0) for k in range(10)]
    state.plan([base, *jobs])
    do(state, clock, base, 2.0)
    assert state.remaining(1) is None  # nothing to judge by yet
    do(state, clock, jobs[0], 20.0)
    assert state.remaining(1) == pytest.approx(180.0)


def test_one_long_job_is_not_shared_among_processes(tmp_path: Path, clock: Clock) -> None:
    state, jobs = (
        ClimbState(Settings(), tmp_path, {}, clock=clock),
        [check("a", 20.0), check("b", 80.0)],
    )
    state.plan(jobs)
    do(state, clock, jobs[0], 10.0)
    assert state.remaining(2) == pytest.approx(40.0)


def test_what_a_killed_ladder_did_of_a_run_is_not_counted_as_speed(
    tmp_path: Path, clock: Clock
) -> None:
    train, rest = Job("train", "ctwa-seed0", (), 100.0), check("b", 50.0)
    state = ClimbState(Settings(), tmp_path, {}, clock=clock)
    half_done_run(tmp_path, "ctwa-seed0", 10, 5)
    state.plan([train, rest])
    do(state, clock, train, 50.0)
    assert state.remaining(1) == pytest.approx(50.0)

"""A run that stops itself keeps its last whole state, says so, and continues from there."""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from killable import contents
from small_runs import small_run

from covlaw.llm.audit.auditor import Auditor
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        scalarizer="ctwa",
        prompts=3,
        completions=4,
        observed=2,
        max_tokens=5,
        epochs=2,
        audit_prompts=2,
        audit_completions=2,
        measured_completions=2,
        checkpoint_every=4,
    )


@pytest.fixture
def unbroken(config: TrainConfig, tmp_path: Path) -> dict[str, bytes]:
    run = train(replace(config, out=str(tmp_path / "unbroken")))
    return at_end(run)


def at_end(run: Path) -> dict[str, bytes]:
    """Which older checkpoints are still there depends on where a run stopped; all else does not."""
    found = contents(run)
    return {name: found[name] for name in found if "step-000004" not in name}


def fails_at(call: int, function: Callable[..., object]) -> Callable[..., object]:
    """The function, with a mistake of the user in one of its calls."""
    calls = []

    def failing(*arguments: object) -> object:
        calls.append(None)
        if len(calls) == call:
            raise CovlawError("a reward failed: for this test")
        return function(*arguments)

    return failing


def test_a_reward_that_fails_leaves_a_checkpoint_of_the_steps_done(
    config: TrainConfig, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # step 0 scores its batch and an audit's four samples; steps 1, 2 and 3 one batch each
        patch.setattr(Rewards, "__call__", fails_at(8, Rewards.__call__))
        message = r"failed: for this test \(stopped after 3 of 5 steps; .* continues from step 3\)"
        with pytest.raises(CovlawError, match=message):
            train(config)
    run = Path(config.out)
    assert len((run / STEPS).read_text().splitlines()) == 3
    before = (run / STEPS).read_bytes()
    assert at_end(train(config)) == {**unbroken, **checkpoint_of(run, 3)}
    assert (run / STEPS).read_bytes().startswith(before)


def checkpoint_of(run: Path, step: int) -> dict[str, bytes]:
    return {name: data for name, data in contents(run).items() if f"step-{step:06d}" in name}


def test_a_failure_after_the_update_goes_back_to_the_newest_checkpoint(
    config: TrainConfig, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parameters have moved, but the step is not done: nothing whole could be saved."""
    with monkeypatch.context() as patch:
        patch.setattr(Auditor, "after", fails_at(2, Auditor.after))
        with pytest.raises(CovlawError, match=r"after 4 of 5 steps; .* continues from step 4"):
            train(config)
    assert at_end(train(config)) == unbroken


def test_a_policy_that_diverges_leaves_a_checkpoint_of_the_last_whole_state(
    config: TrainConfig,
) -> None:
    # far too high, and low enough for the first steps to be numbers still
    wild = replace(config, scalarizer="linear", learning_rate=1e5, audits=0, epochs=1)
    with pytest.raises(CovlawError, match=r"has diverged.*stopped after \d of 5") as stopped:
        train(wild)
    run = Path(config.out)
    done = len(list(read_lines(run / STEPS)))
    assert done > 0
    assert f"stopped after {done} of 5 steps; the same command continues from step {done}" in str(
        stopped.value
    )
    recorded = (run / STEPS).read_bytes()
    with pytest.raises(CovlawError, match=f"has diverged.*stopped after {done} of 5"):
        train(wild)  # it continues there, and so fails again
    assert (run / STEPS).read_bytes() == recorded


def test_a_policy_that_diverges_in_the_middle_of_a_step_goes_back_further(
    config: TrainConfig,
) -> None:
    """What the controller observes after the update is no number any more."""
    wild = replace(config, learning_rate=1e30, audits=0, epochs=1)
    with pytest.raises(CovlawError, match=r"has diverged.*continues from step 0"):
        train(wild)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """As a disk that fills up in the middle of a file: the system refuses bytes beyond `size`."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_loses_nothing_recorded(
    config: TrainConfig, unbroken: dict[str, bytes]
) -> None:
    run = Path(config.out)
    message = r"cannot write .*step-000004 .*make room for it \(stopped after 4 of 5 steps; .* 0\)"
    with no_file_beyond(20_000), pytest.raises(CovlawError, match=message):
        train(config)  # the parameters alone take 50 kB
    assert len(list(read_lines(run / STEPS))) == 4
    assert not list((run / "checkpoints").iterdir())
    assert at_end(train(config)) == unbroken


def test_a_full_disk_while_a_step_is_recorded(
    config: TrainConfig, unbroken: dict[str, bytes]
) -> None:
    size = len((Path(config.out).parent / "unbroken" / STEPS).read_bytes()) - 10
    many = replace(config, checkpoint_every=100)  # none before the end
    with no_file_beyond(size), pytest.raises(CovlawError, match=r"cannot write to .*steps.jsonl"):
        train(many)
    assert at_end(train(config)) == unbroken


def test_ctrl_c_saves_nothing_half_and_says_how_to_continue(
    config: TrainConfig, unbroken: dict[str, bytes]
) -> None:
    def interrupt(done: int, total: int, record: dict[str, object]) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    message = (
        r"^interrupted \(stopped after 4 of 5 steps; the same command continues from step 4\)$"
    )
    with pytest.raises(KeyboardInterrupt, match=message):
        train(config, interrupt)
    assert not list(Path(config.out).glob("checkpoints/.*"))
    assert at_end(train(config)) == unbroken

"""`kill -9` at any moment, then the same command: every file ends as in an unbroken run."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from killable import PHASES, Killer, Moment, Outcome, contents
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.records.runs import STEPS, read_lines


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer() as server:
        yield server


@pytest.fixture(scope="module")
def config(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Everything that a run may do: epochs over the data, a controller, audits, evaluations."""
    return small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / "unbroken",
        rewards=("conciseness_reference", "clarity_reference"),
        scalarizer="ctwa",
        data_order="epochs",
        observed=4,
        epochs=2,
        kl_coefficient=0.01,
        audit_prompts=3,
        audit_completions=4,
        measured_completions=4,
        evaluate_every=2,
        evaluate_prompts=3,
        checkpoint_every=2,
    )


@pytest.fixture(scope="module")
def unbroken(killer: Killer, config: TrainConfig) -> Outcome:
    outcome = killer.run(config)
    assert not outcome.killed
    # a flat reward is said; nothing else
    assert all("nothing can be learnt" in line for line in outcome.errors.splitlines())
    steps = list(read_lines(Path(config.out) / STEPS))
    assert all(step["grad_norm"] > 0 for step in steps[1:])  # no mean length at first
    assert len({tuple(step["weights"]) for step in steps}) > 1
    return outcome


def moments(unbroken: Outcome, each: int, seed: int) -> list[Moment]:
    """Random calls in each phase of a run."""
    rng = random.Random(seed)
    return [
        Moment(phase=phase, call=rng.randint(1, unbroken.calls[phase]))
        for phase in PHASES
        for _ in range(each)
    ]


def killed_then_continued(killer: Killer, config: TrainConfig, name: str, *moments: Moment) -> Path:
    """One run killed at each of the moments in turn, then left to end."""
    run = replace(config, out=str(Path(config.out).parent / name))
    for moment in moments:
        outcome = killer.run(run, moment)
        assert outcome.killed or moment.seconds is not None
        # a flat reward is said; nothing else
    assert all("nothing can be learnt" in line for line in outcome.errors.splitlines())
    last = killer.run(run)
    assert not last.killed
    assert not last.errors
    return Path(run.out)


def test_three_kills_in_one_run(killer: Killer, config: TrainConfig, unbroken: Outcome) -> None:
    """While it samples, while it saves, and while it writes the finished model."""
    chosen = {m.phase: m for m in moments(unbroken, 1, seed=1)}
    # from the first checkpoint on half of the work is done, and half of the calls are left
    first = chosen["sampling"]._replace(call=unbroken.calls["sampling"] // 5)
    second = chosen["checkpoint"]._replace(call=unbroken.calls["checkpoint"] // 2)
    run = killed_then_continued(killer, config, "three", first, second, chosen["final model"])
    assert contents(run) == contents(Path(config.out))


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_kills_in_every_phase(
    killer: Killer, config: TrainConfig, unbroken: Outcome, phase: str
) -> None:
    chosen = [m for m in moments(unbroken, 3, seed=2) if m.phase == phase]
    for k, moment in enumerate(chosen):
        run = killed_then_continued(killer, config, f"{phase} {k}", moment)
        assert contents(run) == contents(Path(config.out)), moment


@pytest.mark.slow
def test_kills_at_random_times(killer: Killer, config: TrainConfig, unbroken: Outcome) -> None:
    """Twice a run, the second time on the way from wherever the first kill left it."""
    rng = random.Random(3)
    for k in range(15):
        times = [Moment(seconds=rng.uniform(0.0, unbroken.seconds)) for _ in range(2)]
        run = killed_then_continued(killer, config, f"time {k}", *times)
        assert contents(run) == contents(Path(config.out)), times

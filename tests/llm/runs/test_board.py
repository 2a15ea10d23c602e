"""Event files hold each point of the records once, however often a run was cut short."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from struct import unpack

import pytest
from small_runs import small_run
from tensorboardX.proto.event_pb2 import Event

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.runs import board
from covlaw.llm.runs.board import points
from covlaw.llm.train import train
from covlaw.records.runs import EVALUATIONS, STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        prompts=2,
        completions=2,
        max_tokens=3,
        audits=0,
        evaluate_every=2,
        evaluate_prompts=2,
        evaluate_completions=1,
        checkpoint_every=2,
        tensorboard=True,
    )


def drawn(run: Path) -> Counter[tuple[str, int, float]]:
    """(tag, step, value as float32) of every point, read by the file format itself."""
    found: Counter[tuple[str, int, float]] = Counter()
    for path in (run / "tensorboard").iterdir():
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            size = unpack("<Q", data[:8])[0]
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            for value in event.summary.value:
                found[value.tag, event.step, value.simple_value] += 1
    return found


def recorded(run: Path) -> set[tuple[str, int]]:
    lines = [*read_lines(run / STEPS), *read_lines(run / EVALUATIONS)]
    return {(tag, line["step"]) for line in lines for tag, _ in points(line)}


def test_a_run_cut_short_has_each_point_once(config: TrainConfig) -> None:
    def interrupt(done: int, total: int, record: dict) -> None:
        if done == 3:  # one step beyond the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, interrupt)
    run = train(config)
    found = drawn(run)
    assert set(found.values()) == {1}
    assert {(tag, step) for tag, step, _ in found} == recorded(run)
    means = [line["reward_mean"][0] for line in read_lines(run / STEPS)]
    tag = "train/reward_mean/conciseness_reference"
    curve = [value for name, _, value in sorted(found) if name == tag]
    assert curve == pytest.approx(means, rel=2.0**-24)


def test_without_the_package_nothing_is_begun(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(CovlawError, match=r"pip install 'covlaw\[tensorboard\]'"):
        train(config)
    assert not Path(config.out).exists()
    train(replace(config, tensorboard=False))

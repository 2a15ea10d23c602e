"""What a run's guard cannot guard, or cannot forecast, it says, once."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_runs import NAMED, small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.guard.guard import BLIND
from covlaw.llm.guard.judging import ChangeReader
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.train import train
from covlaw.records.lines import read_lines
from covlaw.records.runs import STEPS
from covlaw.theory._numerics.opinions import without_opinion

FLAT = "def flat(completions, references, lengths, state):\n    return 0 * lengths + 0.5\n"


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    (tmp_path / "flat.py").write_text(FLAT, encoding="utf-8")
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=(
            *NAMED,
            f"flat={tmp_path / 'flat.py'}:flat",
        ),
        prompts=4,
        steps=4,
        audits=0,
        guard="on",
        guard_options={"rows": 4, "check": 2},
    )


def told(config: TrainConfig, caplog: pytest.LogCaptureFixture) -> tuple[list[Any], list[str]]:
    """The steps' records, and what the guard logged."""
    with caplog.at_level(logging.WARNING, logger="covlaw"):
        run = train(config)
    guards = [line["guard"] for line in read_lines(run / STEPS)]
    return guards, [m for m in caplog.messages if m.startswith("guard:")]


def test_a_reward_that_never_varies_is_said_once_and_the_others_are_guarded(
    config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    guards, said = told(replace(config, guard_options={"rows": 4, "check": 0}), caplog)
    note = "'flat' has no gradient here: it is not guarded"
    assert said == [f"guard: {note}"]
    assert all(note in guard["notes"] for guard in guards)
    assert {guard["weights"][2] for guard in guards} == {0.0}
    assert any(guard["factor"] > 0 for guard in guards)


@pytest.mark.parametrize(("prompts", "acts"), [(3, True), (4, False)])
def test_prompts_too_few_to_forecast_a_fall_leave_no_step_unguarded(
    config: TrainConfig, caplog: pytest.LogCaptureFixture, prompts: int, acts: bool
) -> None:
    """Three prompts have two degrees of freedom: a fall would have to be 5 standard errors."""
    options = {**config.guard_options, "level": 0.999}
    made = replace(config, prompts=prompts, guard="needed", guard_options=options)
    guards, said = told(made, caplog)
    few = (
        f"{prompts} prompts for 3 objectives are too few to forecast a fall: "
        'guarded as with guard = "on"'
    )
    assert [few in guard["notes"] for guard in guards] == [acts] * 4
    assert [guard["after"] is not None for guard in guards] == [acts] * 4
    assert said.count(f"guard: {few}") == acts


def test_floors_are_of_the_completions_with_an_opinion(config: TrainConfig) -> None:
    """A silent prompt counts as 0 in what covariances read: no loss, and no gain when it speaks."""
    nan = float("nan")
    guard = Trainer(replace(config, guard_options={"rows": 4, "check": 0})).guard

    def batch(*second: float) -> Any:
        raw = torch.tensor([[0.5, value, 0.5] for value in second], dtype=torch.float64)
        prompt = torch.tensor([0, 0, 1, 1])
        return SimpleNamespace(raw=raw, rewards=without_opinion(raw, prompt), prompt=prompt)

    state = guard.seen(guard.fresh(), batch(1.0, 0.5, nan, nan))
    assert state.start[1] == 0.75  # counted as numbers: .375
    assert guard.seen(state, batch(nan, nan, nan, nan)).mean[1] == 0.75
    spoken = guard.seen(state, batch(0.75, 0.75, 0.75, 0.75))
    assert guard.before(batch(1.0, 1.0, 1.0, 1.0), spoken).floor.tolist() == [0, 0, 0]
    fallen = guard.seen(state, batch(0.25, 0.25, nan, nan))
    asked = guard.settings.strength * 0.5
    for second, share in (((0.0, 1.0, nan, nan), 0.5), ((0.0, 1.0, 0.0, 1.0), 1.0)):
        assert guard.before(batch(*second), fallen).floor[1] == pytest.approx(share * asked)


def test_rows_on_which_nothing_varies_say_so(
    config: TrainConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeReader, "gain", lambda *_: (0.0, 0.0))
    guards, said = told(config, caplog)
    assert {guard["refused"] for guard in guards if guard["refused"]} == {BLIND}
    assert said.count(f"guard: {BLIND}") == 1

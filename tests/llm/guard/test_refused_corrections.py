"""A correction that is refused leaves no certain fall behind, and is refused for a reason."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_runs import NAMED, small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.guard.judging import ChangeReader, Seen
from covlaw.llm.guard.record import Outcome
from covlaw.llm.train import train
from covlaw.records.lines import read_lines
from covlaw.records.runs import STEPS
from covlaw.theory.guard import Judged
from covlaw.theory.guard.floors import critical

PROMPTS = 8
LEVEL = 0.6


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    """Two rewards that conflict, one of them hardly weighed, and long steps."""
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=NAMED,
        guard="on",
        guard_options={"rows": 8, "check": 8, "level": LEVEL, "floors": "zero"},
        learning_rate=0.003,
        prompts=PROMPTS,
        steps=8,
        audits=0,
    )


def test_the_optimisers_own_step_is_halved_while_one_falls_for_certain(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeReader, "gain", lambda *_: (-1.0, 0.0))  # refuses each
    found = [line["guard"] for line in read_lines(train(config) / STEPS)]
    refused = [guard for guard in found if guard["refused"]]
    assert all(guard["factor"] == 0 for guard in found)
    shortened = [guard for guard in refused if guard["own"] < 1]
    assert shortened
    quantile = critical(PROMPTS, 2, LEVEL)
    for guard in refused:
        before, after = (
            min(
                estimate + quantile * error
                for estimate, error in zip(*guard[name].values(), strict=True)
            )
            for name in ("change_before", "change_after")
        )
        assert guard["passed"] == (after >= 0)
        assert (guard["own"] < 1) == (before < 0)
        assert guard["length"] == guard["own"] == 1 - guard["changed"]
    # what falls to first order falls at any length, and is a 64th in the end
    assert all(guard["passed"] or guard["own"] == 0.5**6 for guard in shortened)


def test_a_step_that_needs_no_correction_is_halved_too_where_one_falls_for_certain(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To first order nothing falls; on the rows that judge it does."""
    monkeypatch.setattr(Outcome, "changes", False)
    found = [line["guard"] for line in read_lines(train(config) / STEPS)]
    assert not any(guard["refused"] or guard["factor"] for guard in found)
    quantile = critical(PROMPTS, 2, LEVEL)
    fell = [
        any(
            estimate + quantile * error < 0
            for estimate, error in zip(*guard["change_before"].values(), strict=True)
        )
        for guard in found
    ]
    assert [guard["own"] < 1 for guard in found] == fell
    assert set(fell) == {True, False}


def test_who_wants_no_control_gets_the_optimisers_step(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeReader, "gain", lambda *_: (-1.0, 0.0))
    config = replace(config, guard_options=config.guard_options | {"backtracking": False})
    found = [line["guard"] for line in read_lines(train(config) / STEPS)]
    assert {(guard["own"], guard["length"], guard["changed"]) for guard in found} == {(1, 1, 0)}
    assert any(guard["refused"] for guard in found)


def test_a_cut_step_is_compared_with_as_much_of_the_optimisers_own() -> None:
    """u* = s(u + c): what c adds is judged, not that s·u is less than u."""
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 3, dtype=torch.float64)
    prompt = torch.arange(3).repeat_interleave(2)
    own = torch.tensor([0.2, -0.2] * 3, dtype=torch.float64)  # ρ − 1: the first rises
    added = torch.tensor([-0.02, 0.02] * 3, dtype=torch.float64)  # the second's correction
    weights, scale = torch.tensor([1.0, 1.1], dtype=torch.float64), 0.1
    nothing = Judged(torch.zeros(2), torch.zeros(2))
    reader = ChangeReader.__new__(ChangeReader)
    reader.drawn = SimpleNamespace(rewards=rewards, prompt=prompt)
    old = Seen(nothing, own.log1p())
    new = Seen(nothing, (scale * (own + added)).log1p())
    gain, _ = reader.gain(weights, new, old, scale)
    # Cov per prompt is half the difference of ρ, times (1, −1): μ·Cov = (1.1 − 1)·.02·scale
    assert gain == pytest.approx(0.1 * 0.02 * scale)
    less = Seen(nothing, (scale * own).log1p())
    assert reader.gain(weights, less, old, scale)[0] == pytest.approx(0, abs=1e-15)

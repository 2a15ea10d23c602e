"""Every scalarizer: it runs on what the loop can supply, and is refused at the start otherwise."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from covlaw.llm.config import TrainConfig
from covlaw.llm.records import STEPS, read_lines
from covlaw.llm.train import train
from covlaw.theory.errors import CovlawError
from covlaw.theory.scalarizers import SCALARIZERS

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("mgda", {}, r"'mgda' .* needs inner products .* \(gramian\)"),
    ("mgda", {"reference": True}, r"\(gramian\)"),
    ("gradnorm", {}, r"\(gramian\) and one loss an objective \(losses\)"),
    ("gradnorm", {"alpha": 0.0}, r"policy gradients \(gramian\), which"),
    ("dynamic", {}, r"\(gramian\), which the training loop does not supply"),
    ("pama", {"reference": True}, r"\(log_ratio_to_reference\) and .* \(mask\)"),
    ("tchebycheff", {"reference": True}, r"differ from token to token \(mask\)"),
]
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("tchebycheff", {}),
    ("lagrangian", {}),
    ("lagrangian", {"reference": True}),
    ("dynamic_hypervolume", {}),
    ("pama", {}),
    ("ctwa", {}),
]


def settings(folder: Path, out: Path, name: str, options: dict[str, Any]) -> TrainConfig:
    return TrainConfig.preset(
        "cpu-demo",
        out=str(out),
        model=str(folder),
        rewards=["own_rewards:digits", "own_rewards:brief"],
        scalarizer=name,
        options={name: options},
        steps=2,
        prompts=3,
        completions=4,
        observed=3,
        max_tokens=5,
        audits=0,
        checkpoint_every=1,
    )


def test_each_scalarizer_is_either_run_or_refused() -> None:
    assert {name for name, *_ in REFUSED} | {name for name, _ in ACCEPTED} >= set(SCALARIZERS)


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_the_loop_cannot_supply_is_refused_at_the_start(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CovlawError, match=message):
        settings(tmp_path / "nowhere", tmp_path / "run", name, options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "options"), ACCEPTED)
def test_what_the_loop_can_supply_trains_and_is_checkpointed(
    policy_folder: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    run = train(settings(policy_folder, tmp_path / "run", name, options))
    steps = list(read_lines(run / STEPS))
    assert [s["scalarizer"] for s in steps] == [name, name]
    assert all(s["grad_norm"] is not None for s in steps)
    saved = load_file(run / "checkpoints" / "step-000002" / "states.safetensors")
    fields = [key for key in saved if key.startswith("scalarizer.")]
    assert all(not torch.isnan(saved[key]).any() for key in fields)

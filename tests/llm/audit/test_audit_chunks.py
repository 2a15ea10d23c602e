"""An audit never reads more rows at once than the training step, whatever the model's size."""

from pathlib import Path

import pytest
import torch
from small_runs import small_run

from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines


def audited(policy_folder: Path, out: Path, micro_batch: int) -> list[float]:
    run = train(
        small_run(
            policy_folder,
            out,
            scalarizer="ctwa",
            steps=1,
            completions=4,
            observed=4,
            micro_batch=micro_batch,
            epochs=2,
            audits=1,
            audit_prompts=4,
        )
    )
    independent = next(read_lines(run / STEPS))["audits"][0]
    forecasts = ("law", "clipped", "clipped_centred", "first_order", "exact_change")
    return [x for name in forecasts for x in independent[name]["estimate"]]


def test_micro_batches_bound_every_pass_and_change_no_forecast(
    policy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audited(policy_folder, tmp_path / "whole", 1000)
    passes: list[int] = []
    softmax = torch.log_softmax

    def watched(logits: torch.Tensor, dim: int) -> torch.Tensor:
        if logits.ndim == 3:  # the trainer's; the engine's has one position
            passes.append(logits.shape[0])
        return softmax(logits, dim)

    monkeypatch.setattr(torch, "log_softmax", watched)
    parts = audited(policy_folder, tmp_path / "parts", 5)
    assert max(passes) <= 5
    # float32 log-probs of ~100-term sums of logits of size ~10, averaged with rewards in [0, 1]
    assert parts == pytest.approx(whole, abs=100 * 2.0**-23 * 10)

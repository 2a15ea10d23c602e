"""What the TRL plug-in adds to a training step, each part as a ratio to TRL's own step.

CPU time on one thread, best of interleaved rounds, so that a busy machine hurts all sides alike.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trl_clock import Clock, seconds_a_step

from covlaw.llm.model.policy import load_policy
from covlaw.llm.tasks import load_task

trl = pytest.importorskip("trl", reason="the plug-in runs in TRL: pip install 'covlaw[trl]'")

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("default")]

STEPS, ROUNDS = 10, 2
SHARE = 0.1
"""Of the run that `Audit` asks for by default."""


def brief(completion_ids: list[list[int]], **_: Any) -> list[float]:
    return [float(len(ids) <= 20) for ids in completion_ids]


def short(completion_ids: list[list[int]], **_: Any) -> list[float]:
    return [1 / len(ids) for ids in completion_ids]


def plain(**given: Any) -> Any:
    return trl.GRPOTrainer(**given)


def audited(callbacks: list[Any], **given: Any) -> Any:
    from covlaw.trl import Audit

    return trl.GRPOTrainer(callbacks=[*callbacks, Audit(on_alarm=lambda _: None)], **given)


def scalarized(**given: Any) -> Any:
    from covlaw.trl import Scalarized

    return Scalarized(trl.GRPOTrainer)(scalarizer="covariance_mgda", **given)


def guarded(callbacks: list[Any], **given: Any) -> Any:
    from covlaw.trl import Guard

    return trl.GRPOTrainer(callbacks=[*callbacks, Guard(rows=8)], **given)


def round_of(make: Callable[..., Any], folder: Path, seed: int) -> float:
    from datasets import Dataset

    model, tokenizer = load_policy("base")
    clock = Clock()
    make(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[brief, short],
        args=trl.GRPOConfig(
            output_dir=str(folder),
            per_device_train_batch_size=256,
            num_generations=16,
            max_completion_length=44,
            max_steps=STEPS,
            learning_rate=5e-5,
            scale_rewards="none",
            loss_type="dr_grpo",
            bf16=False,
            use_cpu=True,
            dataloader_pin_memory=False,
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            seed=seed,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": p.prompt} for p in load_task("arithmetic", "train")]
        ),
        callbacks=[clock],
    ).train()
    return seconds_a_step(clock.times)


def test_audits_cost_their_share_and_a_scalarizer_next_to_nothing(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    sides = (plain, audited, scalarized, guarded)
    rounds = [[round_of(make, tmp_path, k) for make in sides] for k in range(ROUNDS)]
    base, *rest = (min(times) for times in zip(*rounds, strict=True))
    audit, scalarizer, guard = (seconds / base for seconds in rest)
    print(
        f"TRL's step {base:.2f} s; with audits {audit:.2f}×, with a scalarizer {scalarizer:.2f}×, "
        f"guarded at every step {guard:.2f}×"
    )
    # the first step's audit, which is always made, lies before the clock's first step
    assert audit < 1 + 2 * SHARE
    assert scalarizer < 1.2
    assert guard < 3

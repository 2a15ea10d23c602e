"""A training step, sampling included, as a ratio to TRL's GRPOTrainer in the same run.

The same model, prompts, group size, longest completion, precision and optimizer on both sides. CPU
time, best of interleaved rounds, so that a busy machine hurts both sides alike.
"""

import time
from pathlib import Path

import pytest
import torch
from quiet_trl import QUIET
from trl_clock import Clock, seconds_a_step

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.policy import load_policy
from covlaw.llm.tasks import load_task

trl = pytest.importorskip("trl", reason="the peer is TRL: pip install 'covlaw[bench]'")

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("default")]

PROMPTS, COMPLETIONS, TOKENS, RATE = 16, 16, 44, 5e-5
STEPS, ROUNDS = 4, 3


def shortness(completion_ids: list[list[int]], **kwargs) -> list[float]:
    return [1 / len(ids) for ids in completion_ids]


def trl_round(folder: Path, seed: int) -> float:
    from datasets import Dataset

    model, tokenizer = load_policy("base")
    prompts = [{"prompt": p.prompt} for p in load_task("arithmetic", "train")]
    config = trl.GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PROMPTS * COMPLETIONS,
        num_generations=COMPLETIONS,
        steps_per_generation=1,
        max_completion_length=TOKENS,
        max_steps=STEPS,
        learning_rate=RATE,
        temperature=1.0,
        seed=seed,
        **QUIET,
    )
    clock = Clock()
    trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=shortness,
        args=config,
        train_dataset=Dataset.from_list(prompts),
        callbacks=[clock],
    ).train()
    return seconds_a_step(clock.times)


def our_round(folder: Path, seed: int) -> float:
    trainer = Trainer(
        TrainConfig(
            out=str(folder),
            rewards=("conciseness_reference",),
            steps=STEPS,
            prompts=PROMPTS,
            completions=COMPLETIONS,
            max_tokens=TOKENS,
            learning_rate=RATE,
            audits=0,
            seed=seed,
        )
    )
    states, times = trainer.fresh(), []
    for step in range(STEPS):
        states, _ = trainer.step(step, states)
        times.append(time.process_time())
    return seconds_a_step(times)


def test_a_step_costs_no_more_than_trls(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    rounds = [(our_round(tmp_path, k), trl_round(tmp_path, k)) for k in range(ROUNDS)]
    ours, theirs = (min(times) for times in zip(*rounds, strict=True))
    print(f"a step: {ours:.2f} s, TRL's {theirs:.2f} s: {theirs / ours:.2f}×")
    assert theirs / ours >= 1

"""What makes a step of SmolLM2 cheap on a CPU, each on its own, and a step beside TRL's.

CPU time on one thread. A few seconds a measurement: one round is enough for ratios of 1.5 and more.
Skipped where the model is not in the cache; `covlaw llm base smollm2` brings it.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from quiet_trl import QUIET
from trl_clock import Clock, seconds_a_step

from covlaw.llm.base import default_root
from covlaw.llm.base.pretrained.smollm2 import folder_of
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.tasks import load_task

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not folder_of(default_root()).is_dir(), reason="smollm2 is not fetched"),
]
STEPS = 2
"""The first is not timed."""
PLAIN: dict[str, Any] = {"dtype": "float32", "sampling_dtype": "float32", "share_prompts": False,
                         "train_layers": 0}  # fmt: skip
"""As a run is without the preset: all layers, float32, each prompt read once a completion."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def seconds_of_a_step(folder: Path, **settings: Any) -> float:
    """CPU seconds of a step after the first; with `audits`, of one that is audited too."""
    own = {"out": str(folder), "steps": STEPS, "threads": 1, "audits": 0, "evaluate_every": 0}
    config = TrainConfig.preset("cpu-real", **{**own, **settings})
    with shared_prompts(config.share_prompts):
        trainer = Trainer(config)
        if config.audits:
            trainer.auditor.steps = frozenset({STEPS - 1})
        states, times = trainer.fresh(), []
        for step in range(STEPS):
            states, _ = trainer.step(step, states)
            times.append(time.process_time())
    return seconds_a_step(times)


def trl_seconds(folder: Path) -> float:
    """CPU seconds of a step of TRL's GRPOTrainer: the same model, questions, group and lengths."""
    trl = pytest.importorskip("trl", reason="the peer is TRL: pip install 'covlaw[bench]'")
    from datasets import Dataset

    config = TrainConfig.preset("cpu-real", out=str(folder))
    model, tokenizer = load_policy("smollm2")
    questions = load_task("arithmetic", "train", options=config.task_options)
    turns = [{"prompt": [{"role": "user", "content": q.prompt}]} for q in questions]
    settings = trl.GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=config.prompts * config.completions,
        num_generations=config.completions,
        steps_per_generation=1,
        max_completion_length=config.max_tokens,
        max_steps=STEPS,
        learning_rate=config.learning_rate,
        temperature=config.temperature,
        **QUIET,
    )
    clock = Clock()
    trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=lambda completions, **_: [float(len(c[0]["content"])) for c in completions],
        args=settings,
        train_dataset=Dataset.from_list(turns),
        callbacks=[clock],
    ).train()
    return seconds_a_step(clock.times)


def test_sampling_in_bfloat16_costs_less() -> None:
    from covlaw.llm.sampling.engine import TransformersEngine

    model, tokenizer = load_policy("smollm2")
    prompts = [f"What is {a} + {b}?" for a, b in zip(range(3, 11), range(12, 4, -1), strict=True)]
    spent = {}
    for dtype in ("float32", "bfloat16"):
        engine = TransformersEngine(model, tokenizer, dtype=dtype)
        spent[dtype] = min(
            seconds(lambda e=engine: e.sample(prompts, 4, 8, 0.8, torch.Generator().manual_seed(0)))
            for _ in range(2)
        )
    ratio = spent["float32"] / spent["bfloat16"]
    print(f"\n8 tokens of 32 rows: float32 {spent['float32']:.1f} s, bfloat16 {ratio:.2f}× less")
    assert ratio > 1


def test_each_setting_of_the_preset_makes_a_step_cheaper(tmp_path: Path) -> None:
    plain = seconds_of_a_step(tmp_path / "plain", **PLAIN)
    print(f"\na step of 32 completions without the preset's settings: {plain:.1f} s")
    for name in ("dtype", "sampling_dtype", "share_prompts", "train_layers"):
        kept = {key: value for key, value in PLAIN.items() if key != name}
        spent = seconds_of_a_step(tmp_path / name, **kept)
        print(f"{name} alone: {spent:.1f} s, {plain / spent:.2f}× less")
        assert spent < plain
    whole = seconds_of_a_step(tmp_path / "whole")
    print(f"all of them: {whole:.1f} s, {plain / whole:.2f}× less")
    assert whole < plain / 1.5


def test_a_light_audit_costs_a_part_of_a_full_one(tmp_path: Path) -> None:
    small = {"audits": 1, "audit_prompts": 4, "audit_completions": 4, "measured_completions": 4}
    step = seconds_of_a_step(tmp_path / "step")
    light, full = (
        seconds_of_a_step(tmp_path / audit, audit=audit, **small) - step
        for audit in ("light", "full")
    )
    print(
        f"\nan audit of 16 completions: full {full:.1f} s, light {light:.1f} s, {full / light:.2f}×"
    )
    assert light < full


def test_a_step_costs_less_than_trls(tmp_path: Path) -> None:
    theirs = trl_seconds(tmp_path / "trl")
    ours = seconds_of_a_step(tmp_path / "ours")
    alike = seconds_of_a_step(tmp_path / "alike", **PLAIN)
    print(
        f"\na step: TRL's {theirs:.1f} s; ours with all layers, float32 and unshared prompts "
        f"{alike:.1f} s, {theirs / alike:.2f}× less; as preset {ours:.1f} s, {theirs / ours:.2f}×"
    )
    assert ours < theirs

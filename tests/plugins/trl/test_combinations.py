"""Ways to use TRL, each with scalarizer, audit and guard at once: what the audit says happened did.

docs/trl.md lists these; a test there compares the table with `COMBINATIONS`.
"""

from pathlib import Path

import first_token_world as world
import pytest
import torch
import trl_world
from datasets import Dataset
from scipy import stats

from covlaw.trl import Audit, Guard, Scalarized

RATE = 1e-5
BATCH = trl_world.SETTINGS["per_device_train_batch_size"]
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
TALKS = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in world.ROWS]
KEYED = [row | {"key": k} for k, row in enumerate(world.ROWS)]


def named(name):
    return trl_world.rewards([name])[0]


async def wanted(completion_ids, **_):
    return [float(world.TABLES["wanted"][ids[0]]) for ids in completion_ids]


def akin(completion_ids, key, trainer_state, log_metric, log_extra, **_):
    """Reads a column and the state, and logs."""
    assert len(key) == len(completion_ids)
    assert trainer_state.global_step >= 0
    log_metric("seen", float(len(key)))
    log_extra("key", list(key))
    return [float(world.TABLES["akin"][ids[0]]) for ids in completion_ids]


COMBINATIONS = {
    "GRPO": {},
    "RLOO": {"base": "RLOOTrainer"},
    "RLOO, normalize_advantages": {"base": "RLOOTrainer", "normalize_advantages": True},
    "num_iterations=2": {"num_iterations": 2},
    "gradient_accumulation_steps=2": {
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": BATCH // 2,
    },
    "steps_per_generation=2": {
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 1,
        "per_device_train_batch_size": BATCH // 2,
    },
    "RLOO, num_iterations=2, steps_per_generation=2": {
        "base": "RLOOTrainer",
        "num_iterations": 2,
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 1,
        "per_device_train_batch_size": BATCH // 2,
    },
    'scale_rewards="group"': {"scale_rewards": "group"},
    'scale_rewards="batch"': {"scale_rewards": "batch"},
    'scale_rewards="none"': {"scale_rewards": "none"},
    "GDPO (normalize_then_sum)": {"multi_objective_aggregation": "normalize_then_sum"},
    'loss_type="grpo"': {"loss_type": "grpo"},
    'loss_type="dapo"': {"loss_type": "dapo"},
    'importance_sampling_level="sequence"': {"importance_sampling_level": "sequence"},
    "mask_truncated_completions": {"mask_truncated_completions": True},
    "conversational prompts": {"train_dataset": Dataset.from_list(TALKS)},
    "async rewards": {"reward_funcs": [wanted, named("akin")]},
    "rewards that read columns and trainer_state, log_metric, log_extra": {
        "reward_funcs": [named("wanted"), akin],
        "train_dataset": Dataset.from_list(KEYED),
    },
    "PEFT (LoRA)": {"peft": True},
    "bf16": {"bf16": True},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "an evaluation set, num_generations_eval=1": {
        "eval_dataset": Dataset.from_list(world.ROWS),
        "eval_strategy": "steps",
        "eval_steps": 1,
        "num_generations_eval": 1,
    },
}


def adapter():
    from peft import LoraConfig

    return LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "up_proj"])


BINDING = {"PEFT (LoRA)", "bf16", "num_iterations=2", "gradient_accumulation_steps=2"}
"""Where the guard rewrites steps; elsewhere it measures, but never binds."""


@pytest.mark.parametrize("case", COMBINATIONS)
def test_what_the_audit_says_happened_did(tmp_path, case) -> None:
    """By enumeration of both policies; every number that is logged is finite."""
    given = dict(COMBINATIONS[case])
    if given.pop("peft", False):
        given |= {"peft_config": adapter(), "learning_rate": 1e-2}
    probe = Probe()
    audit = Audit(world.ROWS, every=1, completions=16, chunk=512, on_alarm=lambda f: None)
    if "conversational" in case:
        audit.rows = TALKS
    if "columns" in case:
        audit.rows = KEYED
    guard = Guard(rows=4, completions=4, floor=0.02 if case in BINDING else -1.0, every=2)
    trainer = trl_world.make(
        tmp_path,
        given.pop("base", "GRPOTrainer"),
        Scalarized,
        scalarizer="ctwa",
        weights=world.ALIGNED,
        callbacks=[audit, guard, probe],
        **given,
    )
    if "conversational" in case:
        trainer.processing_class.chat_template = TEMPLATE
    probe.tokenizer = trainer.processing_class
    trainer.train()
    assert len(audit.audited) == trl_world.STEPS
    assert any(float(found.changed) > 0 for found in guard.guarded) == (case in BINDING)
    changes = torch.stack(probe.values).view(-1, 2, len(world.ALIGNED)).diff(dim=1)[:, 0]
    quantile = float(stats.t.isf(RATE / changes.numel() / 2, len(world.ROWS) - 1))
    rounding = 2.0**-8 if case == "bf16" else 2.0**-20  # of log-probs of order 1
    for found, change in zip(audit.audited, changes, strict=True):
        error = (found.did.estimate - change).abs()
        assert (error <= quantile * found.did.standard_error + rounding).all()
    assert float(changes.abs().max()) > (2.0**-9 if case == "bf16" else 4 * rounding)
    logged = [
        value
        for line in trainer.state.log_history
        for key, value in line.items()
        if key.startswith("covlaw/")
    ]
    assert len(logged) > 20
    assert torch.isfinite(torch.tensor(logged)).all()
    if "evaluation" in case:
        assert any("eval_reward" in line for line in trainer.state.log_history)
    if "columns" in case:
        seen = [line["seen"] for line in trainer.state.log_history if "seen" in line]
        assert seen == [float(BATCH)] * trl_world.STEPS  # not the audit's


class Probe(trl_world.Snapshots):
    """Exact expected rewards before and after each step, from the trainer's own model."""

    def __init__(self) -> None:
        self.values = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        self._take(kwargs["model"])

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self._take(kwargs["model"])

    def _take(self, model) -> None:
        training = model.training
        model.eval()
        log_prob = world.log_probs(model, self.tokenizer)
        model.train(training)
        self.values.append(world.expected(log_prob, world.ALIGNED))


def test_the_docs_list_what_is_tested_here() -> None:
    page = (Path(__file__).parents[3] / "docs" / "trl.md").read_text(encoding="utf-8")
    for case in COMBINATIONS:
        assert f"| {case} |" in page, f"docs/trl.md lacks {case}"

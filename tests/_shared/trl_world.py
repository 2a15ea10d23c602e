"""TRL's own trainers on the policy of `first_token_world`: completions of one token, exact sums."""

import copy
from pathlib import Path
from typing import Any

import first_token_world as world
import torch
from transformers import TrainerCallback

STEPS = 3
GENERATIONS = 8
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": len(world.ROWS) * GENERATIONS,
    "num_generations": GENERATIONS,
    "max_completion_length": 1,
    "max_steps": STEPS,
    "learning_rate": 1e-3,
    "bf16": False,
    "use_cpu": True,
    "dataloader_pin_memory": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_strategy": "no",
    "disable_tqdm": True,
    "log_level": "error",
}
LAW = {"loss_type": "dr_grpo", "scale_rewards": "none", "beta": 0.0}
"""Of GRPO: no length, no deviation, no penalty between the law and the step."""


def rewards(names) -> list[Any]:
    """Reward functions with their names."""
    found = [world.reward(name) for name in names]
    for name, function in zip(names, found, strict=True):
        function.__name__ = name
    return found


class Snapshots(TrainerCallback):
    """Copies of the policy before and after each step."""

    def __init__(self) -> None:
        self.before: list[Any] = []
        self.after: list[Any] = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        self.before.append(copy.deepcopy(kwargs["model"].state_dict()))

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.after.append(copy.deepcopy(kwargs["model"].state_dict()))

    def changes(self, tokenizer: Any, names) -> torch.Tensor:
        """(steps, M) exact changes of the expected rewards."""
        return torch.stack(
            [
                _expected(new, tokenizer, names) - _expected(old, tokenizer, names)
                for old, new in zip(self.before, self.after, strict=True)
            ]
        )


def _expected(state: Any, tokenizer: Any, names) -> torch.Tensor:
    reader = world.policy()[0]
    reader.load_state_dict(state)
    return world.expected(world.log_probs(reader, tokenizer), names)


def make(folder: Path, base: str = "GRPOTrainer", wrap=lambda cls: cls, model=None, **given):
    """A trainer: its own arguments by name, everything else goes to its config."""
    import trl
    from datasets import Dataset

    own = {k: given.pop(k) for k in OWN & given.keys()}
    weights = own.pop("weights", world.WEIGHTS)
    kind = getattr(trl, base)
    config = getattr(trl, base.replace("Trainer", "Config"))
    settings = SETTINGS | (LAW if base == "GRPOTrainer" else {"beta": 0.0}) | given
    settings.setdefault("reward_weights", list(weights.values()))
    torch.manual_seed(0)
    policy, tokenizer = world.policy()
    defaults = {
        "model": policy if model is None else model,
        "processing_class": tokenizer,
        "reward_funcs": rewards(weights),
        "train_dataset": Dataset.from_list(world.ROWS),
    }
    return wrap(kind)(args=config(output_dir=str(folder), **settings), **(defaults | own))


OWN = {
    "weights",
    "processing_class",
    "reward_funcs",
    "train_dataset",
    "eval_dataset",
    "callbacks",
    "peft_config",
    "scalarizer",
    "scalarizer_options",
    "observed",
    "reward_range",
}

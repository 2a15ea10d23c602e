"""Settings of the small training runs that tests make: a second or two each, with two audits."""

from pathlib import Path
from typing import Any

from covlaw.llm.config.train_config import TrainConfig

NAMED = ("digits=own_rewards:digits", "brief=own_rewards:brief")
"""The usual two rewards, under names."""
SETTINGS: dict[str, Any] = {
    "rewards": ("own_rewards:digits", "own_rewards:brief"),
    "steps": 5,
    "prompts": 4,
    "completions": 6,
    "max_tokens": 6,
    "learning_rate": 5e-3,
    "audit": "full",
    "audits": 2,
    "audit_prompts": 5,
    "audit_completions": 8,
    "measured_completions": 8,
    "threads": 1,
}


def small_run(model: Path, out: Path, **settings: Any) -> TrainConfig:
    """Build the config of a run of `model` in the folder `out`; `settings` replace the usual."""
    return TrainConfig(**{"model": str(model), "out": str(out), **SETTINGS, **settings})

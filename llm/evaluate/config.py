"""What to evaluate, and how; for a run's folder the run's own settings are the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from covlaw.llm.config.checks import (
    check_choices,
    check_counts,
    check_kinds,
    check_not_negative,
    check_positive,
    check_table,
)
from covlaw.llm.config.engine_checks import check_engine
from covlaw.llm.config.preset_files import template_text
from covlaw.llm.config.setting_checks import LONG_PROMPTS
from covlaw.llm.cores import cores_of_a_process
from covlaw.llm.rewards import reward_names
from covlaw.records.runs import CONFIG, read_config
from covlaw.theory._numerics.errors import CovlawError, unknown


@dataclass(frozen=True)
class EvalConfig:
    """One evaluation; settings that `TrainConfig` has too mean the same.

    Args:
        model: Hub id, local path, or "base".
        task: Task name.
        task_path: Its files, where it has any.
        task_options: Table of the task's options.
        system_prompt: Text of a system turn before each prompt.
        chat_template: A Jinja chat template in place of the model's own, or a file with one.
        max_prompt_tokens: Longest prompt; 0: any.
        long_prompts: "drop" or "refuse".
        split: train, val or test.
        rewards: As in `TrainConfig`.
        reward_seconds: Time limit of a user's reward.
        completions: Completions a prompt.
        max_tokens: Longest completion.
        temperature: Of sampling.
        top_k: Only so many of the likeliest tokens are drawn; 0: all.
        top_p: Only the fewest tokens that hold this mass are drawn; 1: all.
        engine: "transformers" or "vllm" (docs/vllm.md).
        engine_options: Table of vLLM's options, see `covlaw.llm.sampling.vllm.options`.
        mean_length: Length that conciseness is judged against; 0: the evaluated completions' own.
        limit: At most so many prompts; 0: all.
        batch: Prompts sampled at a time.
        seed: Of sampling: models with the same seed see the same random numbers.
        threads: Torch threads; 0: one a physical core. The last bits depend on their number.
        device: Torch device.
    """

    model: str = "base"
    task: str = "arithmetic"
    task_path: str = ""
    task_options: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str = ""
    chat_template: str = ""
    max_prompt_tokens: int = 0
    long_prompts: str = "drop"
    split: str = "test"
    rewards: tuple[str, ...] = ("accuracy", "conciseness", "clarity")
    reward_seconds: float = 60.0
    completions: int = 16
    max_tokens: int = 44
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    engine: str = "transformers"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    mean_length: float = 0.0
    limit: int = 0
    batch: int = 32
    seed: int = 0
    threads: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_kinds(self)
        object.__setattr__(self, "rewards", tuple(self.rewards))
        object.__setattr__(self, "chat_template", template_text(self.chat_template))
        counts = ("completions", "max_tokens", "batch")
        check_counts(self, {0: ("limit", "seed", "max_prompt_tokens", "threads"), 1: counts})
        if self.threads == 0:
            object.__setattr__(self, "threads", cores_of_a_process())
        check_positive(self, "temperature")
        check_not_negative(self, "mean_length", "reward_seconds")
        check_choices(self, {"long_prompts": LONG_PROMPTS})
        check_table("task_options", self.task_options)
        check_engine(self)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Shown names of the rewards."""
        return reward_names(self.rewards)

    @classmethod
    def of(cls, source: str, given: Mapping[str, Any]) -> "EvalConfig":
        """Settings for a run's folder, from its config and checkpoint, or for a model.

        Args:
            source: Run folder, hub id, local path, or "base".
            given: Settings that count before the run's own.

        Raises:
            CovlawError: for an unknown setting, or a run that has no finished model.
        """
        known = tuple(f.name for f in fields(cls))
        for name in given:
            if name not in known:
                raise unknown("setting of an evaluation", name, known)
        return cls(**{**_of_source(source, known), **given})


NOT_INHERITED = ("completions", "seed", "engine", "engine_options")
"""Settings of a run that are choices of the evaluation."""


def is_run(source: str) -> bool:
    """Tell whether a folder holds a run."""
    return (Path(source) / CONFIG).is_file()


def _of_source(source: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not is_run(source):
        return {"model": source}
    recorded = read_config(Path(source))
    model = Path(source) / "model"
    if not model.is_dir():
        raise CovlawError(
            f"{source} is not finished: continue it, its model/ is written at the end"
        )
    inherited = {k: v for k, v in recorded.items() if k in known and k not in NOT_INHERITED}
    return {**inherited, "model": str(model), "mean_length": run_mean_length(Path(source))}


def run_mean_length(run: Path) -> float:
    """Mean length that a run's conciseness was judged against at its end; 0 without a checkpoint.

    Read from the newest checkpoint; nothing of the run is changed.
    """
    for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        try:
            with safe_open(folder / "states.safetensors", "pt") as tensors:
                return float(tensors.get_tensor("rewards.mean_length"))
        except (OSError, SafetensorError):
            continue
    return 0.0

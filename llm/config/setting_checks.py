"""What a run's settings must satisfy, each on its own; read by `covlaw.llm.config.train_config`."""

from typing import Any

from covlaw.llm.config.checks import (
    check_choices,
    check_counts,
    check_not_negative,
    check_options,
    check_positive,
    check_range,
    check_table,
)
from covlaw.llm.config.engine_checks import check_engine
from covlaw.llm.guard.settings import GUARD
from covlaw.llm.tasks import TASKS
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.losses.aggregation import AGGREGATIONS
from covlaw.theory.losses.kl_penalty import KL_ESTIMATORS

OBSERVED = ("ratio", "clipped_ratio")
DATA_ORDERS = ("random", "epochs")
LONG_PROMPTS = ("drop", "refuse")
DTYPES = ("float32", "bfloat16")
AUDITS = ("full", "light")
GRAMIANS = ("plain", "crossed")

_AT_LEAST = {
    -1: ("audits",),
    0: (
        *("warmup", "seed", "steps", "data_epochs", "samples", "train_layers", "threads"),
        *(
            "evaluate_every",
            "evaluate_prompts",
            "max_prompt_tokens",
            "audit_held_out",
            "moved_rows",
            "micro_batch",
        ),
    ),
    1: (
        *("completions", "max_tokens", "epochs", "mini_batches"),
        *("measured_completions", "checkpoint_every", "keep_checkpoints", "evaluate_completions"),
    ),
    2: ("prompts", "observed", "audit_prompts", "audit_completions"),
}
_CHOICES = {
    "normaliser": tuple(NORMALISERS),
    "aggregation": AGGREGATIONS,
    "kl_estimator": KL_ESTIMATORS,
    "dtype": DTYPES,
    "sampling_dtype": DTYPES,
    "audit": AUDITS,
    "guard": GUARD,
    "gramian": GRAMIANS,
    "observe": OBSERVED,
    "data_order": DATA_ORDERS,
    "long_prompts": LONG_PROMPTS,
}


def check_config(config: Any) -> None:
    """Refuse settings outside their domain.

    Raises:
        CovlawError: naming the setting, its value and the remedy.
    """
    check_counts(config, _AT_LEAST)
    if (config.steps == 0) == (config.data_epochs == 0):
        raise CovlawError(
            f"steps is {config.steps} and data_epochs is {config.data_epochs}: set one of them "
            "and leave the other 0"
        )
    check_positive(config, "temperature", "learning_rate", "rank_seconds")
    check_not_negative(config, "weight_decay", "grad_clip", "kl_coefficient", "engine_gap_limit")
    check_not_negative(config, "reward_seconds", "entropy_coefficient")
    if not 0 <= config.length_decay < 1:
        raise CovlawError(f"length_decay is {config.length_decay}: use a value in [0, 1)")
    TASKS.find(config.task)
    check_choices(config, _CHOICES)
    if config.mini_batches > config.prompts * config.completions:
        raise CovlawError(
            f"mini_batches is {config.mini_batches}: a batch of {config.prompts} prompts with "
            f"{config.completions} completions has no more than "
            f"{config.prompts * config.completions} rows"
        )
    if config.audit_held_out == 1:
        raise CovlawError("audit_held_out is 1: use at least 2 prompts for a standard error, or 0")
    if config.share_prompts and config.gradient_checkpointing:
        raise CovlawError(
            "share_prompts and gradient_checkpointing are both on: layers that are computed anew "
            "keep no keys and values of prompts; switch one off"
        )
    if config.lora and config.train_layers:
        raise CovlawError(
            f"lora is on and train_layers is {config.train_layers}: adapters are trained in place "
            "of layers; set one of them"
        )
    if config.audit == "light" and config.audit_gramian:
        raise CovlawError(
            'audit is "light" and audit_gramian is on: a light audit takes no gradients; set '
            'audit = "full", or audit_gramian = false'
        )
    if config.gramian == "crossed" and config.completions < 4:
        raise CovlawError(
            f"completions is {config.completions}: a crossed Gramian needs two halves of 2 or "
            'more; use 4 or more, or gramian = "plain"'
        )
    check_engine(config)
    check_options(config.options, config.scalarizer_name)
    check_table("task_options", config.task_options)
    config.make_loss()
    check_range(config.reward_worst, config.reward_best, len(config.rewards))

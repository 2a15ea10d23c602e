"""Settings of TRL's trainer where its step is timed: plain sampling, no logs, nothing saved."""

from typing import Any

QUIET: dict[str, Any] = {
    "lr_scheduler_type": "constant",
    "beta": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "bf16": False,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "report_to": "none",
    "logging_strategy": "no",
    "save_strategy": "no",
    "disable_tqdm": True,
}

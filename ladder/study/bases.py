"""The LLM rung's base models in the study: what they were brought up on, and how big they are."""

from pathlib import Path
from typing import Any

from covlaw.theory._numerics.errors import CovlawError

BASES = ("default", "stepwise-right", "small")
"""The ladder's own (short answers are mostly right, clear ones mostly wrong); one of the same size
in which the clear ones are right; and one of a quarter of the width and a single layer, brought
up six times as long to know as much arithmetic."""


def base_model(name: str, quick: bool) -> Path:
    """Return a base model's folder; train it first if it is not in the cache.

    Args:
        name: One of `BASES`.
        quick: A tiny model that knows the styles but hardly any arithmetic.
    """
    from dataclasses import replace

    from covlaw.llm.base import MIXTURES, PRESETS, BaseConfig, default_root, ensure_base

    config = PRESETS["tiny"] if quick else BaseConfig()
    if name == "stepwise-right":
        config = replace(config, styles=MIXTURES[name])
    elif name == "small":
        config = replace(config, width=32, layers=1, feed_forward=96, steps=6 * config.steps)
    elif name != "default":
        raise CovlawError(f"base model {name!r}: choose from {', '.join(BASES)}")
    return ensure_base(config, default_root())


def measured_start(folder: Path) -> dict[str, Any]:
    """Accuracy and clarity of a base model, as measured when it was trained."""
    import json

    found: dict[str, Any] = json.loads((folder / "base.json").read_text())["measured"]
    return found

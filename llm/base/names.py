"""Base models by name, as `model` takes them: "base", "base:MIXTURE", "base:MIXTURE:DIFFICULTY"."""

from dataclasses import replace

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.mixtures import MIXTURES
from covlaw.llm.tasks.arithmetic import DIFFICULTIES
from covlaw.theory._numerics.errors import CovlawError, unknown

PREFIX = "base"


def is_base_name(model: str) -> bool:
    """Tell whether a model is named as one of ours, and not by hub id or path."""
    return model == PREFIX or model.startswith(f"{PREFIX}:")


def named_base(model: str) -> BaseConfig:
    """Return the configuration of a named base model; "base" is the default one.

    Raises:
        CovlawError: for an unknown mixture or difficulty, with near matches.
    """
    _, *parts = model.split(":")
    if len(parts) > 2:
        raise CovlawError(f"model {model!r}: write base:MIXTURE or base:MIXTURE:DIFFICULTY")
    mixture, difficulty = [*parts, "", ""][:2]
    return base_config(mixture or "default", difficulty or "digits")


def base_config(mixture: str = "default", difficulty: str = "digits") -> BaseConfig:
    """Return the default size and training with the named mixture and difficulty."""
    if mixture not in MIXTURES:
        raise unknown("style mixture", mixture, tuple(MIXTURES))
    if difficulty not in DIFFICULTIES:
        raise unknown("difficulty", difficulty, tuple(DIFFICULTIES))
    return replace(BaseConfig(), styles=MIXTURES[mixture], difficulty=difficulty)

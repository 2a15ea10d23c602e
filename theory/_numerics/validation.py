"""Public inputs: converted once, refused with the culprit and the remedy."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import Groups

MASS_TOLERANCE = 1e-6
"""Largest accepted |Σ mass − 1|: float32 softmax over 10⁴ completions errs by 1e-7 to 1e-6."""


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the objective names as a tuple, or say which is not acceptable."""
    if isinstance(names, str):
        raise CovlawError(f"objective names: got the single string {names!r}; pass a list of names")
    names = tuple(names)
    if not names:
        raise CovlawError("no objective names: give one name a reward column")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise CovlawError(f"objective name {name!r}: use non-empty printable text")
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise CovlawError(f"objective names {duplicates} occur twice: make them distinct")
    return names


def as_mass(mass: Any, groups: Groups) -> Tensor | None:
    """Validate completion probabilities (N,); they must sum to 1 within each prompt."""
    if mass is None:
        return None
    given = as_float64(mass, "mass", groups.position.device)
    if given.shape != groups.position.shape:
        raise CovlawError(
            f"mass has shape {tuple(given.shape)}, not {tuple(groups.position.shape)}: "
            "give one probability a completion"
        )
    bad = ~torch.isfinite(given) | (given < 0)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(
            f"mass at row {row} is {given[row].item()}: give a probability in [0, 1], e.g. exp of "
            "the completion's log-prob"
        )
    total = groups.sum(given)
    worst = int((total - 1).abs().argmax())
    if abs(total[worst].item() - 1) > MASS_TOLERANCE:
        raise CovlawError(
            f"mass of prompt {groups.label(worst)} sums to {total[worst].item():.9g}, "
            "not 1: list every completion, the length-truncated ones too, or pass mass=None"
        )
    return given


def as_prompt_mass(prompt_mass: Any, groups: Groups) -> Tensor | None:
    """Validate prompt probabilities (P,), in the order of `prompt_labels`."""
    if prompt_mass is None:
        return None
    given = as_float64(prompt_mass, "prompt_mass", groups.position.device)
    if given.shape != groups.prompts.shape:
        raise CovlawError(
            f"prompt_mass has shape {tuple(given.shape)} for "
            f"{groups.prompts.shape[0]} prompts: give one probability each, by ascending id"
        )
    total = given.sum().item()
    if not bool((given >= 0).all()) or not abs(total - 1) <= MASS_TOLERANCE:
        raise CovlawError(
            f"prompt_mass must be ≥ 0 and sum to 1 (sum {total:.9g}): normalise the prompt weights"
        )
    return given


def require_pairs(groups: Groups) -> None:
    """Refuse sampled prompts with a single completion: they have no covariance."""
    lonely = (groups.counts < 2).nonzero()[:, 0]
    if lonely.numel():
        first = groups.label(int(lonely[0]))
        raise CovlawError(
            f"prompt {first} has a single completion ({lonely.numel()} such prompts): "
            "sample at least 2 completions a prompt, or drop these prompts"
        )

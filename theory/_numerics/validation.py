"""Public inputs: converted once, refused with the culprit and the remedy."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import Groups

MASS_TOLERANCE = 1e-6
"""Largest accepted |Σ mass − 1|: float32 softmax over 10⁴ completions errs by 1e-7 to 1e-6."""


def as_float64(values: Any, what: str, device: torch.device | None = None) -> Tensor:
    """Return a tensor, array or nested list of numbers as float64, on `device` if given."""
    try:  # as_tensor alone would round Python floats to float32
        known = isinstance(values, Tensor)
        tensor = values if known else torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CovlawError(f"{what} must be numbers, e.g. a float tensor ({error})") from error
    if tensor.is_complex():
        raise CovlawError(f"{what} is {tensor.dtype}: give real numbers")
    return tensor.to(device=device, dtype=torch.float64)


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


def as_prompt_ids(prompt: Any) -> Tensor:
    """Return prompt ids as an int64 vector; refuse floats and strings, which merge or split ids."""
    try:
        ids = torch.as_tensor(prompt)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CovlawError(f"prompt ids must be integers, one a completion ({error})") from error
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise CovlawError(f"prompt ids are {ids.dtype}: number the prompts with integers")
    if ids.ndim != 1 or ids.shape[0] == 0:
        raise CovlawError(f"prompt ids have shape {tuple(ids.shape)}: give a vector (N,), N ≥ 1")
    return ids.to(torch.int64)


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
            f"mass of prompt {int(groups.prompts[worst])} sums to {total[worst].item():.9g}, "
            "not 1: list every completion, the length-truncated ones too, or pass mass=None"
        )
    return given


def as_prompt_mass(prompt_mass: Any, groups: Groups) -> Tensor | None:
    """Validate prompt probabilities (P,), in ascending order of prompt id."""
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
    lonely = groups.prompts[groups.counts < 2]
    if lonely.numel():
        raise CovlawError(
            f"prompt {int(lonely[0])} has a single completion ({lonely.numel()} such prompts): "
            "sample at least 2 completions a prompt, or drop these prompts"
        )

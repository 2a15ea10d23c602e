"""Prompt ids of any kind, numbered: integers as they are, anything else by its label.

Integers keep their values. Other ids are labels (text, bytes, tuples, UUIDs, a mixture): two are
the same prompt where Python's == and hash say so, hence 1 and "1" are two prompts. They are
numbered 0, 1, … in ascending order, or by first appearance where they have no common order.
Floats, true and false, None and NaN are refused, alone and in a mixture: they merge ids (1.0 is
1, True is 1) or split them (NaN is not NaN).
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.theory._numerics.arrays import Column, plain
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import Groups, group_by_prompt

PromptIds = Tensor | NDArray[Any] | Sequence[Hashable] | Column
"""(N,) the prompt that each completion answers: integers or labels, in any order."""

_NUMBERS = (bool, np.bool_, float, np.floating, complex, np.complexfloating)


def as_prompt_ids(prompt: PromptIds) -> Tensor:
    """Return prompt ids as an int64 vector: integers themselves, labels by their number.

    Raises:
        CovlawError: for what is no vector, empty, not hashable, or a refused kind of id.
    """
    return _numbered(prompt)[0]


def by_prompt(prompt: PromptIds) -> Groups:
    """Group rows by prompt id, in any order; errors as `as_prompt_ids`."""
    ids, labels = _numbered(prompt)
    return group_by_prompt(ids)._replace(labels=labels)


def prompt_labels(prompt: PromptIds) -> tuple[Hashable, ...]:
    """Each prompt's id once, (P,): the order of every per-prompt result and of `prompt_mass`.

    Ascending; by first appearance where ids have no common order. Errors as `as_prompt_ids`.
    """
    ids, labels = _numbered(prompt)
    return labels if labels is not None else tuple(torch.unique(ids).tolist())


def _numbered(prompt: PromptIds) -> tuple[Tensor, tuple[Hashable, ...] | None]:
    """Ids (N,) int64, and the labels that they number, None for integers."""
    if isinstance(prompt, str | bytes):
        raise CovlawError(f"prompt ids are the single text {prompt!r}: give one id a completion")
    given = plain(prompt)
    if isinstance(given, list | tuple) and bool in set(map(type, given)):
        return _by_label(given)  # which refuses it; torch would read True as 1 beside integers
    try:
        ids = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return _by_label(given)
    if ids.dtype == torch.uint64 and int(ids.cpu().numpy().max(initial=0)) >= 2**63:
        return _by_label(given)
    if ids.ndim != 1 or ids.shape[0] == 0:
        raise CovlawError(f"prompt ids have shape {tuple(ids.shape)}: give a vector (N,), N ≥ 1")
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise CovlawError(
            f"prompt ids are {ids.dtype}: use integers or text (a column with missing values "
            "becomes floats: drop those rows)"
        )
    return ids.to(torch.int64), None


def _by_label(given: Any) -> tuple[Tensor, tuple[Hashable, ...]]:
    items = given.tolist() if hasattr(given, "tolist") else list(given)
    try:
        found = dict.fromkeys(items)
    except TypeError as error:
        raise CovlawError(
            f"prompt ids must be integers, text or other hashable values ({error})"
        ) from error
    for kind in set(map(type, items)):  # not of the labels: in `found`, True hides behind 1
        if issubclass(kind, _NUMBERS):
            raise CovlawError(f"prompt ids hold {kind.__name__} values: use integers or text")
    missing = [label for label in found if not _equals_itself(label)]
    if missing:
        raise CovlawError(f"a prompt id is {missing[0]!r}: drop or name the rows without one")
    try:
        labels = tuple(sorted(found))
    except TypeError:  # no common order
        labels = tuple(found)
    number = {label: k for k, label in enumerate(labels)}
    return torch.tensor(list(map(number.__getitem__, items)), dtype=torch.int64), labels


def _equals_itself(label: Hashable) -> bool:
    """Whether it is an id at all: None is none, NaN and its kin do not equal themselves."""
    try:
        return label is not None and bool(label == label)
    except (TypeError, ValueError):  # pandas.NA
        return False

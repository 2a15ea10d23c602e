"""Signals that a log's completions could be trained on, by the names of their normalisers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.plugins.inspection.chunks import Chunk
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.estimators.advantages import NORMALISERS

COLUMN, GDPO = "column", "gdpo"
SIGNALS = ("auto", COLUMN, *NORMALISERS, GDPO)
WHOLE_STEP = {"reinforce++", "pooled_within"}
"""Normalisers that need a whole step's scores."""
COMPARED = ("dr_grpo", "grpo", GDPO)
"""Normalisers whose laws stand side by side: raw, the group's std, and each reward's own std."""


def chosen(advantage: str, has_column: bool) -> str:
    """The signal's name: the log's own advantage where there is one, else the centred score.

    Raises:
        CovlawError: for an unknown name, and "column" where the log has none.
    """
    if advantage not in SIGNALS:
        raise unknown("advantage", advantage, SIGNALS)
    if advantage == COLUMN and not has_column:
        raise CovlawError(
            "the log has no column of advantages: name it when reading, or choose a normaliser, "
            "e.g. advantage='grpo'"
        )
    return (COLUMN if has_column else "dr_grpo") if advantage == "auto" else advantage


def signal_of(name: str, chunk: Chunk, weights: Tensor) -> Tensor:
    """The named signal (n,) of a piece."""
    if chunk.signal is not None:
        return chunk.signal
    return gdpo(chunk, weights) if name == GDPO else NORMALISERS[name](chunk.score, chunk.groups)


def compared(chunk: Chunk, weights: Tensor) -> list[Tensor]:
    """The signals of `COMPARED`, (n,) each."""
    return [
        gdpo(chunk, weights) if n == GDPO else NORMALISERS[n](chunk.score, chunk.groups)
        for n in COMPARED
    ]


def gdpo(chunk: Chunk, weights: Tensor) -> Tensor:
    """Σ_k λ_k A_k/sd_k with each reward's own standard deviation in the group (T54)."""
    total = torch.zeros_like(chunk.score)
    for k, weight in enumerate(weights.tolist()):
        known = None if chunk.known is None else chunk.known[:, k]
        total += weight * _standardised(chunk, k, known)
    return total


def _standardised(chunk: Chunk, k: int, known: Tensor | None) -> Tensor:
    values = chunk.rewards[:, k]
    if known is None:
        return NORMALISERS["grpo"](values, chunk.groups)
    groups = chunk.groups._replace(position=chunk.groups.position[known])
    counts = torch.bincount(groups.position, minlength=len(groups.prompts))
    result = torch.zeros_like(values)
    # a group of one has no spread: counted as two, its deviation is 0 all the same
    result[known] = NORMALISERS["grpo"](values[known], groups._replace(counts=counts.clamp(min=2)))
    return result


def as_weights(weights: Sequence[float] | None, names: Sequence[str]) -> Tensor:
    """Return λ (M,), ones where none are given.

    Raises:
        CovlawError: on another number of weights, or weights that are not finite.
    """
    if weights is None:
        return torch.ones(len(names), dtype=torch.float64)
    given = torch.as_tensor(weights, dtype=torch.float64)
    if given.shape != (len(names),) or not bool(torch.isfinite(given).all()):
        raise CovlawError(
            f"weights {given.tolist()} for the rewards {', '.join(names)}: give one finite number "
            "each, in this order"
        )
    return given

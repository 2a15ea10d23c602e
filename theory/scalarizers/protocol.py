"""The scalarizer interface: M rewards in, one training signal out, functional state between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:  # names and help need no torch
    from torch import Tensor

State = TypeVar("State")
"""A NamedTuple of tensors, checkpointed as such."""


class Batch(NamedTuple):
    """What is known before the policy step."""

    rewards: Tensor
    """(N, M), of any real dtype; scores are float64."""
    prompt: Tensor
    """(N,) int."""
    mass: Tensor | None = None
    prompt_mass: Tensor | None = None
    gramian: Tensor | None = None
    """(M, M) inner products of this batch's un-clipped policy gradients."""
    log_ratio_to_reference: Tensor | None = None
    """(N, T)."""
    mask: Tensor | None = None
    """(N, T)."""


class Signal(NamedTuple):
    """What enters the loss."""

    score: Tensor
    """(N,) the law's s, uncentred."""
    advantage: Tensor | None = None
    """(N,) or (N, T): if given, advantage normalisation is skipped."""
    weights: Tensor | None = None
    """(M,) for the record."""


class Observation(NamedTuple):
    """What is seen after the step, on samples independent of it."""

    covariance: Tensor | None = None
    """(M,) Cov(r_j, ρ or W)."""
    values: Tensor | None = None
    """(M,) mean rewards."""
    losses: Tensor | None = None
    """(M,)."""


class Scalarizer(Protocol[State]):
    """Turns M rewards into one training signal and adapts.

    The loop computes only what `before` and `after` name. Order: score → advantage normalisation
    (unless an advantage is returned) → loss; the law's s is what entered the loss.
    """

    before: frozenset[str]
    """Optional `Batch` fields it needs."""
    after: frozenset[str]
    """`Observation` fields it needs."""

    def init(self) -> State:
        """Return the state before the first batch."""
        ...

    def signal(self, state: State, batch: Batch) -> tuple[State, Signal]:
        """Return this batch's training signal."""
        ...

    def update(self, state: State, seen: Observation) -> State:
        """Adapt after the policy step."""
        ...

    def predictions(self) -> tuple[str, ...]:
        """Statement ids (THEORY part E) that say how this scalarizer behaves."""
        ...


def stacks(scalarizer: Scalarizer[Any]) -> bool:
    """Whether it also serves R runs at once, which it says by an attribute `stacks = True`.

    `signal` and `update` then take a state, `rewards`, `mass`, `gramian`, `log_ratio_to_reference`
    and observations with a leading axis of R runs (the other fields are shared), and return the
    same; each run's numbers are those it would have alone, to rounding.
    """
    return getattr(scalarizer, "stacks", False) is True

"""What a statement is: both sides, its assumptions, and a false variant that must be refuted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

Kind = Literal["identity", "bound", "sign", "counterexample"]
Status = Literal["holds", "refuted", "inconclusive", "not_applicable"]


class Sides(NamedTuple):
    """Both sides of a statement on one instance, (n,) comparisons each, float64.

    identity: measured = predicted. bound: measured ≤ predicted. sign: measured and predicted
    never have opposite signs (list only the cases the statement decides).
    counterexample: `predicted` is what the *false* claim forecasts, `measured` what happens;
    the counterexample is confirmed where their signs are opposite.
    """

    measured: Tensor
    predicted: Tensor
    tolerance: Tensor
    """(n,) derived bound on rounding (and quadrature) error of `measured − predicted`."""
    standard_error: Tensor | None = None
    """(n,) Monte-Carlo standard error of `measured − predicted`; None where both are exact."""
    freedom: int | None = None
    """Degrees of freedom of the standard errors: prompts − 1; None where they are known."""
    halves: "Halves | None" = None
    """For the judgement of all instances of a sampled identity together; None where a comparison
    stands for itself."""


class Halves(NamedTuple):
    """A forecast made twice, on either half of each prompt's completions (`_pooled`)."""

    first: Tensor
    """(n,)."""
    second: Tensor
    """(n,)."""
    first_error: Tensor
    """(n,) standard error of `first`, from its own half."""
    second_error: Tensor
    """(n,) standard error of `second`."""
    scale: float = 1.0
    """`predicted` is this many times the forecast."""

    @property
    def pairs(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """(forecast, standard error) of each half."""
        return (self.first, self.first_error), (self.second, self.second_error)


Part = tuple[Tensor, Tensor, Tensor]
"""Exact comparisons: (measured, predicted, tolerance), (n,) each."""
NOTHING: Part = (torch.empty(0, dtype=torch.float64),) * 3
"""No comparison: what a statement that decides nothing here has."""


def joined(parts: Sequence[Part]) -> Sides:
    """Put exact comparisons together."""
    measured, predicted, tolerance = (torch.cat(column) for column in zip(*parts, strict=True))
    return Sides(measured, predicted, tolerance)


SidesOf = Callable[[Any, np.random.Generator], Sides]
"""(instance, rng) → both sides."""


class NegativeControl(NamedTuple):
    """A plausible false variant; the same judge must refute it on the same kind of instance."""

    name: str
    sides: SidesOf


class Proof(NamedTuple):
    """A symbolic check: each step's expression must simplify to 0."""

    claim: str
    residual: Any
    """SymPy expression, already simplified; the proof holds if it is 0."""


class Ensemble(NamedTuple):
    """A statement's own random instances on rung 0, instead of the rung's."""

    draw: Callable[[np.random.Generator, int], Iterator[Any]]
    """(rng, count) → instances; one may hold a batch of problems as tensors, `count` in all."""
    size: int
    """How many problems a default check takes."""


@dataclass(frozen=True)
class Statement:
    """One claim of THEORY, checkable on every rung where it makes sense.

    Args:
        id: T…, E… or F….
        title: The claim as a sentence.
        explanation: In plain words, for someone who has not read the paper: what the symbols
            stand for, and what follows for a training run.
        kind: How both sides are judged.
        formula: Plain text.
        latex: LaTeX, without delimiters.
        assumptions: Each as a phrase.
        source: Paper, literature (with citation) or "ours".
        needs: The kind of instance it takes from a rung (World, Update, …), or a class of its
            own that only `ensemble` draws.
        sides: Both sides on one instance.
        control: The false variant.
        nearer: Further false variants, nearer than that one; each must be refuted as well on every
            rung whose instances it has something to compare on.
        ensemble: Where rung 0 gets its instances; None: from `random_instances`.
        not_applicable: rung → why it makes no sense there.
        proofs: Symbolic proofs, or None.
        remarks: Measurements that belong to the claim without being judged, a line each; None
            where there are none.
    """

    id: str
    title: str
    kind: Kind
    formula: str
    latex: str
    assumptions: tuple[str, ...]
    source: str
    needs: type
    sides: SidesOf
    control: NegativeControl
    nearer: tuple[NegativeControl, ...] = ()
    explanation: str = ""
    ensemble: Ensemble | None = None
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    proofs: Callable[[], list[Proof]] | None = None
    remarks: Callable[[], list[str]] | None = None

    @property
    def controls(self) -> tuple[NegativeControl, ...]:
        """Every false variant that must be refuted."""
        return (self.control, *self.nearer)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one statement on one rung (fields: DESIGN, Records)."""

    id: str
    rung: str
    kind: Kind
    status: Status
    measured: float | None = None
    predicted: float | None = None
    slack: float | None = None
    tolerance: float | None = None
    violations: int = 0
    n: int = 0
    tightness: float | None = None
    negative_control: dict[str, Any] | None = None
    judged: str = "exact"
    """How the sides were compared: "exact" in an enumerated world; on samples "sampled", with
    standard errors, or "estimator" where both sides are the same sample's algebra."""
    note: str = ""

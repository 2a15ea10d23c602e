"""What the guard did to one step: the object `guard` of a line of steps.jsonl."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from covlaw.theory.guard import Controlled, Guarded, Judged


@dataclass(frozen=True, eq=False)
class Outcome:
    """A step's story as far as it has come; each method adds a chapter.

    Args:
        floor: (M,) asked of the step.
        forecast: Exact change by the optimiser's step, on the rows that choose, where it was read.
        guarded: The corrected step, without its D numbers; None where none was called for.
        plain: Exact change by the optimiser's step on the rows that judge.
        last: Of the step taken.
        gain: Σ_k μ_k(Δ_k(u*) − s·Δ_k(u)), what the correction is for, on rows that did not choose
            it, and its standard error; s is how much of u is left in u*.
        factor: Share of the corrected step that was taken; 0: the optimiser's step was.
        own: Share of the optimiser's step that was taken where there is no correction.
        rounds: How often a step was judged.
        passed: Whether no certain fall is left, where that was asked.
        refusal: Why there is no correction, where one was called for.
        seconds: Spent on it.
    """

    floor: Tensor
    forecast: Judged | None = None
    guarded: Guarded | None = None
    plain: Judged | None = None
    last: Judged | None = None
    gain: tuple[float, float] | None = None
    factor: float = 0.0
    own: float = 1.0
    rounds: int = 0
    passed: bool | None = None
    refusal: str = ""
    seconds: float = 0.0

    def chosen(self, guarded: Guarded, floor: Tensor, plain: Judged | None) -> "Outcome":
        """A correction was computed."""
        refused = bool(guarded.carried == 0)
        reason = "all of it would lengthen the step" if refused else ""
        return replace(self, guarded=guarded, floor=floor, plain=plain, refusal=reason)

    @property
    def changes(self) -> bool:
        """Whether the chosen step is another than the optimiser's."""
        found = self.guarded
        return found is not None and bool((found.weights > 0).any())

    def judged(self, seen: Judged, gain: float, error: float) -> "Outcome":
        """Rows that did not choose the correction saw what it does."""
        return replace(self, last=seen, rounds=1, gain=(gain, error))

    def refused(self, reason: str) -> "Outcome":
        """The optimiser's step comes back."""
        return replace(self, last=self.plain, factor=0.0, refusal=reason)

    def taken(self) -> "Outcome":
        """The corrected step stays, unshortened."""
        return replace(self, factor=1.0)

    def shortened(self, control: Controlled) -> "Outcome":
        """The corrected step was halved until no certain fall was left."""
        return replace(
            self,
            last=control.judged,
            factor=control.factor,
            rounds=control.rounds,
            passed=control.passed,
        )

    def uncorrected(self, control: Controlled) -> "Outcome":
        """The optimiser's own step was halved until no certain fall was left."""
        return replace(
            self,
            last=control.judged,
            own=control.factor,
            rounds=self.rounds + control.rounds,
            passed=control.passed,
        )

    def after(self, seconds: float) -> "Outcome":
        """It took so long."""
        return replace(self, seconds=seconds)

    @property
    def changed(self) -> float:
        """|t·u* − u|/|u| of the step taken, from |u*|/|u| and |u* − u|/|u|."""
        if self.guarded is None or not self.factor:
            return 1 - self.own
        length, apart, t = float(self.guarded.length), float(self.guarded.changed), self.factor
        along = (length**2 + 1 - apart**2) / 2
        return float(max(t**2 * length**2 + 1 - 2 * t * along, 0.0) ** 0.5)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence each."""
        return self.guarded.notes if self.guarded else ()

    def record(self) -> dict[str, Any]:
        """The JSON object; numbers that were not measured are null."""
        found = self.guarded
        return {
            "floor": self.floor.tolist(),
            "weights": [0.0] * len(self.floor) if found is None else found.weights.tolist(),
            "before": None if found is None else found.before.tolist(),
            "after": None if found is None else found.effects.tolist(),
            "length": self.factor * float(found.length) if found and self.factor else self.own,
            "changed": self.changed,
            "factor": self.factor,
            "own": self.own,
            "rounds": self.rounds,
            "passed": self.passed,
            "refused": self.refusal,
            "gain": None
            if self.gain is None
            else dict(zip(("estimate", "se"), self.gain, strict=True)),
            "forecast": _pair(self.forecast),
            "change_before": _pair(self.plain),
            "change_after": _pair(self.last),
            "notes": list(self.notes),
        }


def _pair(seen: Judged | None) -> dict[str, list[float]] | None:
    if seen is None:
        return None
    return {"estimate": seen.change.tolist(), "se": seen.standard_error.tolist()}

"""Floors: what each objective's first-order effect must not be below."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError

Reference = Literal["start", "best", "target"]


class RestoringState(NamedTuple):
    """What restoring floors remember, a checkpoint's worth."""

    start: Tensor
    """(M,) mean rewards of the first batch; NaN before it."""
    best: Tensor
    """(M,) largest running mean so far."""
    mean: Tensor
    """(M,) running mean of the mean rewards."""


@dataclass(frozen=True)
class RestoringFloors:
    """Floors that ask back what an objective has lost: b_j = κ(ref_j − m_j)⁺ (T64).

    m is a running mean m ← (1 − τ)m + τ·y of the batches' mean rewards (τ = 1: the last batch).
    Deficits then stay below sup|e|/κ, e the errors of a step's effect, instead of drifting.

    Args:
        objectives: M.
        strength: κ in (0, 1], the share of a deficit asked back in one step.
        share: τ in (0, 1].
        reference: start (the first batch), best (start plus `fraction` of the way to the best
            running mean so far), or target.
        fraction: In (0, 1], for "best".
        target: (M,) mean rewards to reach and hold, for "target"; −inf where there is none.

    Raises:
        CovlawError: on values outside these ranges, and κ above `largest_strength`(τ), from where
            the mean's lag makes objectives overshoot.
    """

    objectives: int
    strength: float = 0.3
    share: float = 1.0
    reference: Reference = "start"
    fraction: float = 0.9
    target: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("strength", "share", "fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise CovlawError(
                    f"{name} of restoring floors is {getattr(self, name)}: use (0, 1]"
                )
        limit = largest_strength(self.share)
        if self.strength > limit * (1 + 1e-9):
            raise CovlawError(
                f"restoring strength {self.strength} with share {self.share} overshoots: use at "
                f"most {limit:.3g}, or a larger share"
            )
        if self.reference not in ("start", "best", "target"):
            raise CovlawError(f"reference {self.reference!r}: choose start, best or target")
        self._require_target()

    def _require_target(self) -> None:
        wanted = tuple(self.target or ())
        if self.reference != "target":
            if wanted:
                raise CovlawError(
                    f"target {list(wanted)} is given and reference is {self.reference!r}: set "
                    "reference = 'target'"
                )
            return
        if len(wanted) != self.objectives:
            raise CovlawError(f"reference 'target' needs {self.objectives} target values")
        values = as_float64(wanted, "target")
        if bool((values.isnan() | (values == torch.inf)).any()):
            raise CovlawError(
                f"target {list(wanted)} has values that cannot be reached: use numbers, or −inf "
                "where there is none"
            )

    def init(self) -> RestoringState:
        """Nothing seen yet."""
        nothing = torch.full((self.objectives,), torch.nan, dtype=torch.float64)
        return RestoringState(nothing, nothing, nothing)

    def update(self, state: RestoringState, values: Any) -> RestoringState:
        """Take in a batch's mean rewards (M,), drawn at the current policy anyway.

        NaN where no completion of the batch has a value: that objective is as before.

        Raises:
            CovlawError: on infinite values, and another number of them.
        """
        seen = as_float64(values, "mean rewards")
        if seen.shape != (self.objectives,) or bool(torch.isinf(seen).any()):
            raise CovlawError(
                f"mean rewards {seen.tolist()}: give {self.objectives} finite values, NaN where "
                "there is none"
            )
        first, unseen = torch.isnan(state.start), torch.isnan(seen)
        moved = torch.where(first, seen, (1 - self.share) * state.mean + self.share * seen)
        mean = torch.where(unseen, state.mean, moved)
        start = torch.where(first, seen, state.start)
        best = torch.where(first, mean, torch.maximum(state.best, mean))
        return RestoringState(start, best, mean)

    def floor(self, state: RestoringState, opinions: Any = 1.0) -> Tensor:
        """b_j = κ(ref_j − m_j)⁺ of the next step: (M,) ≥ 0, in units of reward; at first 0.

        Args:
            state: What was seen.
            opinions: (M,) share of the observed completions that have a value; an effect is that
                of these completions times it, and so is its floor.
        """
        if self.reference == "target":
            wanted = as_float64(self.target, "target")
        elif self.reference == "best":
            wanted = state.start + self.fraction * (state.best - state.start)
        else:
            wanted = state.start
        asked = (self.strength * (wanted - state.mean)).clamp(min=0.0).nan_to_num(0.0)
        return asked * as_float64(opinions, "opinions")


def largest_strength(share: float) -> float:
    """Largest κ at which floors through a running mean of share τ do not overshoot (T64).

    (1 − √(1 − τ))²/τ: between τ/4 as τ → 0 (κ/τ ≤ 1/4, as in T40) and 1 at τ = 1. With x = ref − J
    and y = ref − m, x' = x − κy, y' = (1 − τ)y + τx' has trace 2 − τ − κτ and determinant
    1 − τ: its eigenvalues are real, and nothing oscillates, up to here.

    Raises:
        CovlawError: on τ outside (0, 1].
    """
    if not 0 < share <= 1:
        raise CovlawError(f"share {share} of a running mean: use (0, 1]")
    root = float((1 - share) ** 0.5)
    return (
        share / (1 + root)
    ) ** 2 / share  # 1 − √(1 − τ) = τ/(1 + √(1 − τ)), without cancellation


def certified_floor(
    standard_error: Any, prompts: int, floor: Any = 0.0, level: float = 0.95
) -> Tensor:
    """Floors that the effects' lower confidence bounds must keep: b_j + t·se_j, (M,).

    t is Student's one-sided quantile at `level`, Bonferroni over the M objectives, with prompts − 1
    degrees of freedom: standard errors are clustered by prompt (`within_prompt_covariance` of the
    rewards with ⟨∇log π, u⟩). A shortened step shrinks its errors too, so the bound errs on the
    safe side. On completions that choose the step themselves it promises nothing (T63), and of a
    reward that does not vary in the sample, whose error is 0, it knows nothing.

    Args:
        standard_error: (M,) of g_j·u.
        prompts: Observed prompts.
        floor: b_j, a number or (M,).
        level: In (0.5, 1).

    Raises:
        CovlawError: on fewer than 2 prompts, which have no error, and a level outside its range.
    """
    error = as_float64(standard_error, "standard_error")
    return as_float64(floor, "floor") + critical(prompts, error.shape[-1], level) * error


def critical(prompts: int, objectives: int, level: float = 0.95) -> float:
    """Student's one-sided quantile with prompts − 1 degrees of freedom, Bonferroni.

    Raises:
        CovlawError: on fewer than 2 prompts, and a level outside (0.5, 1).
    """
    if prompts < 2:
        raise CovlawError(
            f"{prompts} observed prompt: an error clustered by prompt needs 2 or more"
        )
    if not 0.5 < level < 1:
        raise CovlawError(f"level {level}: use a confidence between 0.5 and 1, e.g. 0.95")
    return float(stdtrit(prompts - 1, 1 - (1 - level) / objectives))

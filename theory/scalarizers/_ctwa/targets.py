"""CTWA's targets: fixed, fixed and refused where infeasible, or a share of the headroom (T36)."""

from dataclasses import dataclass

from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.headroom import most_demanding
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.scalarizers._batch_headroom import HEADROOMS, room_of_varying
from covlaw.theory.scalarizers._options import positive

OBSERVED = "observed"
STATISTICS = (OBSERVED, "grpo", "pooled", "raw")
SCALE_FREE = ("grpo", "pooled")
"""Statistics that do not depend on the weights' scale: those with a headroom (T36)."""


@dataclass(frozen=True)
class TargetRule:
    """What CTWA asks of a batch.

    Args:
        objectives: M names.
        fixed: (M,) c.
        statistic: In whose units c is.
        share: α in (0, 1]: ask for α·t*·c; None: for c.
        refuse: Raise where c is infeasible.

    Raises:
        CovlawError: on a share outside (0, 1], and where an option does not go with the others.
    """

    objectives: tuple[str, ...]
    fixed: Tensor
    statistic: str
    share: float | None
    refuse: bool

    def __post_init__(self) -> None:
        asked = "share" if self.share is not None else "refuse_infeasible"
        if self.share is not None:
            positive(self.share, "share", 1.0)
        if self.share is not None and self.refuse:
            raise CovlawError("share keeps targets feasible: leave refuse_infeasible out")
        if (self.share is not None or self.refuse) and self.statistic not in SCALE_FREE:
            raise CovlawError(
                f"{asked} needs a statistic with a headroom, not {self.statistic!r}: "
                f"set statistic to {' or '.join(SCALE_FREE)}"
            )
        if (self.share is not None or self.refuse) and not bool((self.fixed > 0).any()):
            raise CovlawError(f"{asked} needs a target > 0: give one to some objective")

    def targets(self, covariances: PromptCovariances) -> Tensor:
        """c for this batch: (M,).

        Raises:
            CovlawError: with `refuse`, where no weights reach c on this batch.
        """
        if self.share is not None:
            room = room_of_varying(covariances, self.fixed, self.statistic)
            return self.share * room.factor[..., None] * self.fixed
        if self.refuse:
            found = HEADROOMS[self.statistic](covariances, self.fixed)
            if bool(found.factor < 1):
                sentence = most_demanding(found, self.fixed, self.objectives)
                raise CovlawError(f"ctwa: {sentence}; lower them, or set share instead")
        return self.fixed

"""Covariance-MGDA: the weights that raise every objective at once, from rollout rewards only."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers._batch_headroom import batch_covariances, room_of_varying
from covlaw.theory.scalarizers._given import weighted
from covlaw.theory.scalarizers._options import choice, per_objective
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal

GEOMETRIES = {"mean_std": "grpo", "raw": "raw"}
"""Name of the geometry -> the signal whose covariances it bounds."""


class CovarianceMgdaState(NamedTuple):
    """For the record: the weights are this batch's."""

    headroom: Tensor
    """() t* of the last batch, 0 before; 0 where some convex combination of rewards is constant."""


class CovarianceMgda:
    """MGDA in the geometry of reward covariances: no gradient, no backward pass (ours, T31, T36).

    s = λ·r with this batch's λ = argmin of g over c·λ = 1, λ ≥ 0, scaled to sum to 1:

    - `geometry="mean_std"`: g(λ) = E_x sd_x(λ·r). Under the advantage normalised by the group's
      std (GRPO) every objective gains Cov(r_j, Â) ≥ t*·c_j, and no weights do better (T36), where
      every prompt has C_x = 0 or no constant bundle. The default, since that advantage is free of
      scale: all of the weights' effect is in their direction.
    - `geometry="raw"`: g(λ) = λ'Cλ, C = E_x Cov_x(r). Under a centred advantage (RLOO, Dr. GRPO)
      every objective gains (Cλ)_j ≥ λ'Cλ·c_j/(c·λ) (T31), under the pooled within-prompt std
      (Cλ)_j/√(λ'Cλ) ≥ √t*·c_j.

    First order, along the tilt; of sampled groups the promise is about the sample. An objective
    that is constant in every prompt of the batch cannot gain: its weight is 0. The default c = 1
    asks for equal gains in units of the rewards: set c where their scales differ.

    Args:
        objectives: M names.
        target: c > 0, the proportion of the gains (one number or one each); its size is free.
        geometry: mean_std or raw.

    Raises:
        CovlawError: on options outside their domain; with a batch, on rewards that are not finite
            and prompts with a single sampled completion.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(
        self,
        objectives: Sequence[str],
        target: float | Sequence[float] | None = None,
        geometry: str = "mean_std",
    ) -> None:
        self.target = per_objective(target, objectives, "target", 1.0)
        if not bool((self.target > 0).all()):
            raise CovlawError(f"target is {self.target.tolist()}: give each objective one > 0")
        self.geometry = GEOMETRIES[choice(geometry, "geometry", tuple(GEOMETRIES))]

    def init(self) -> CovarianceMgdaState:
        """Return the state before the first batch."""
        return CovarianceMgdaState(torch.zeros((), dtype=torch.float64))

    def signal(
        self, state: CovarianceMgdaState, batch: Batch
    ) -> tuple[CovarianceMgdaState, Signal]:
        """s = λ·r with this batch's weights; the state records t*."""
        del state
        covariances = batch_covariances(batch, self.target.shape[0], "covariance_mgda")
        room = room_of_varying(covariances, self.target, self.geometry)
        score = weighted(batch.rewards.to(torch.float64), room.weights)
        return CovarianceMgdaState(room.factor), Signal(score, weights=room.weights)

    def update(self, state: CovarianceMgdaState, seen: Observation) -> CovarianceMgdaState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E5, in this geometry; T31 and T36 are its theorems."""
        return ("E5", "T31", "T36")

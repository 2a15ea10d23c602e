"""RVPO: a soft minimum over each reward's z-scores, so that the worst of a completion counts."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory.scalarizers._given import given_rewards, per_root_mean_square
from covlaw.theory.scalarizers._options import positive, shares
from covlaw.theory.scalarizers.gdpo import standardised_by_prompt
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class RvpoState(NamedTuple):
    """Nothing to remember."""


class Rvpo:
    """Reward-variance policy optimization (Montero et al. 2026, arXiv 2605.05750).

    s = −(1/k)·log Σ_j w_j e^{−k z_j}, z_j = (r_j − E_x r_j)/sd_x(r_j): the mean z-score less
    k/2 of its variance over the objectives, to second order. k → 0 is `gdpo`, k → ∞ the least
    z-score of each completion; in between a completion's own soft-min weights w_j e^{−k z_j}/Σ
    say whose reward it is pushed by (E10).

    The paper was read in its abstract and second-hand: taken from there are the soft minimum and
    the z-scores; the score is centred within the prompt (a constant is no signal, F7) and, as in
    `gdpo`, divided by the root mean square of the batch.

    Args:
        objectives: M names.
        weights: One w_j ≥ 0 each, normalised to sum to 1; default: equal.
        sharpness: k > 0, per unit of a z-score.
        whiten: Whether the score is divided by its root mean square: one factor for the batch.

    Raises:
        CovlawError: on options outside their domain; with a batch, on rewards that are not finite
            and prompts with a single sampled completion.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def __init__(
        self,
        objectives: Sequence[str],
        weights: float | Sequence[float] | None = None,
        sharpness: float = 1.0,
        whiten: bool = True,
    ) -> None:
        self.weights, self.whiten = shares(weights, objectives), whiten
        self.sharpness = positive(sharpness, "sharpness")

    def init(self) -> RvpoState:
        """Return the empty state."""
        return RvpoState()

    def signal(self, state: RvpoState, batch: Batch) -> tuple[RvpoState, Signal]:
        """The advantage itself; it is the score too."""
        rewards = given_rewards(batch, self.weights.shape[0], "rvpo")
        score = soft_minimum(standardised_by_prompt(rewards, batch), self.weights, self.sharpness)
        groups = by_prompt(batch.prompt)
        advantage = groups.centre(score, groups.share(batch.mass))
        if self.whiten:
            advantage = per_root_mean_square(advantage, batch)
        return state, Signal(advantage, advantage, self.weights)

    def update(self, state: RvpoState, seen: Observation) -> RvpoState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E10."""
        return ("E10",)


def soft_minimum(values: Tensor, weights: Tensor, sharpness: float) -> Tensor:
    """−(1/k)·log Σ_j w_j e^{−k z_j} of values (N, M), weights that sum to 1: (N,).

    As least − (1/k)·log1p(Σ_j w_j (e^{−k(z_j − least)} − 1)): exact to rounding for small k too.
    """
    least = values.amin(-1)
    above = torch.expm1(-sharpness * (values - least[..., None])) @ weights
    return least - torch.log1p(above) / sharpness

"""PAMA: the least of the objectives' positive advantages (E7)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers._given import centred_rewards, given_rewards, row_weight
from covlaw.theory.scalarizers._options import not_negative
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class PamaState(NamedTuple):
    """Nothing to remember."""


class Pama:
    """Pareto multi-objective alignment (He & Maghsudi 2025, arXiv 2508.07768).

    Noon PPO keeps the positive part A_i⁺ of each advantage; min_c (Σ_i c_i A_i⁺)² over the simplex
    is then solved by the least of them: A = min_i A_i⁺, here of each completion, with A_i the
    prompt-centred reward. A > 0 only where every A_i > 0, so Cov_x(r_j, A) = E_x[A_j A] ≥ 0: to
    first order no objective falls.

    With `reference=True` advantages are normalised as REINFORCE++ does, over the batch's tokens,
    each token with its completion's reward: A_i = (r_i − mean)/std, so that long completions count
    more. The least of their *batch means* over tokens is taken, one number s* = min_i mean A_i⁺
    for every token of the response mask, times the ratio to the reference policy where that is not
    clipped: W = s*·ρ_ref·1[ρ_ref ≤ 1 + clip_high] (N, T). No completion's own reward is left in
    it. The score with it, Σ_t W_t, is the law's s for completions of one token only (T16).

    Args:
        objectives: M names.
        clip_high: Upper clip range of the ratio to the reference policy; read with
            `reference=True` only.
        reference: As the reference implementation behaves.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def __init__(
        self, objectives: Sequence[str], clip_high: float = 0.2, reference: bool = False
    ) -> None:
        self.count = len(tuple(objectives))
        self.clip_high, self.reference = not_negative(clip_high, "clip_high"), reference
        if reference:
            self.before = frozenset({"log_ratio_to_reference", "mask"})

    def init(self) -> PamaState:
        """Return the empty state."""
        return PamaState()

    def signal(self, state: PamaState, batch: Batch) -> tuple[PamaState, Signal]:
        """A = min_i A_i⁺ of each completion, or the reference's W of each token."""
        rewards = given_rewards(batch, self.count, "pama")
        if not self.reference:
            least = torch.relu(centred_rewards(rewards, batch)).amin(1)
            return state, Signal(least, least)
        mask, kept = self._ratio_kept(batch)
        weight = _least_mean(rewards, row_weight(batch), mask) * kept
        return state, Signal(weight.sum(1), weight)

    def update(self, state: PamaState, seen: Observation) -> PamaState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E7."""
        return ("E7",)

    def _ratio_kept(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mask, and ρ_ref·1[ρ_ref ≤ 1 + clip_high] on tokens, 0 elsewhere: (N, T) each."""
        log_ratio, mask = batch.log_ratio_to_reference, batch.mask
        if log_ratio is None or mask is None or log_ratio.shape != mask.shape:
            raise CovlawError(
                "pama with reference=True needs log_ratio_to_reference and mask: (N, T) each"
            )
        tokens = mask.to(torch.bool)
        ratio = torch.where(tokens, log_ratio.to(torch.float64), 0.0).exp()
        if not bool(torch.isfinite(ratio).all()):
            raise CovlawError("pama needs finite ratios to the reference policy on every token")
        return tokens, torch.where(tokens & (ratio <= 1 + self.clip_high), ratio, 0.0)


def _least_mean(rewards: Tensor, row: Tensor, mask: Tensor) -> Tensor:
    """min_i of the token mean of A_i⁺, A_i whitened over tokens, 0 without spread: ()."""
    tokens = row * mask.sum(1)
    share = tokens / tokens.sum()
    centred = rewards - share @ rewards
    spread = (share @ centred.square()).sqrt()
    real = spread > rounding(rewards.abs().amax(0), 4 * len(rewards))
    whitened = torch.where(real, centred / torch.where(real, spread, 1.0), 0.0)
    return (share @ torch.relu(whitened)).min()

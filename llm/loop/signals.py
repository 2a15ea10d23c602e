"""From rewards to an advantage: what a scalarizer asks for is computed here, and nothing else."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.loop.score_terms import as_sampled, kept_rows, masked, overlong_penalty
from covlaw.llm.model.log_prob import all_token_log_prob
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.engine_correction import importance_weight, weighed
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.scalarizers import Batch, Scalarizer, Signal


class Applied(NamedTuple):
    """The signal that a batch got, so that other rows can be given the same one."""

    state: Any
    """The scalarizer's, after the batch."""
    advantage: Tensor
    """(N,) or (N, T) float64 on the completions' device."""
    weights: Tensor | None
    """(M,) for the record."""
    gramian: Tensor | None
    """(M, M) of the batch, where it was asked for."""
    weighted: bool
    """Whether the score is rewards·weights and nothing else."""


class Signals:
    """Makes the training signal of a run.

    Args:
        scalarizer: Whose `before` says what to compute.
        model: The policy.
        reference: The policy at the start, where the scalarizer asks for ratios to it.
        config: Of the run.
        ends: Tokens that end a completion, for a filter that asks which were cut off.
    """

    def __init__(
        self,
        scalarizer: Scalarizer[Any],
        model: Any,
        reference: Any,
        config: TrainConfig,
        ends: tuple[int, ...] = (),
    ) -> None:
        self.scalarizer, self.model = scalarizer, model
        self.reference, self.config, self.ends = reference, config, ends

    def make(self, state: Any, drawn: SampledRollouts) -> Applied:
        """Give the batch its advantage; the model is still at π_old."""
        batch = self._batch(drawn, None)
        state, signal = self.scalarizer.signal(state, batch)
        advantage = self._advantage(signal, drawn)
        weighted = _is_weighted_score(signal, drawn.rewards)
        return Applied(state, advantage, signal.weights, batch.gramian, weighted)

    def again(self, applied: Applied, drawn: SampledRollouts) -> Tensor:
        """Advantage of other rows under the signal that a batch got: (N,) or (N, T).

        Weights that were fitted to the batch are kept, and so is its Gramian: fitted anew they
        would be those of another signal. Normalisation is by the rows' own groups. The run's
        filters apply, so that the law is that of what was trained.
        """
        if applied.weighted and applied.weights is not None:
            signal = Signal(drawn.rewards @ applied.weights)
        else:
            signal = self.scalarizer.signal(applied.state, self._batch(drawn, applied.gramian))[1]
        return as_sampled(self._advantage(signal, drawn), drawn, self.config)

    def _batch(self, drawn: SampledRollouts, gramian: Tensor | None) -> Batch:
        """On the rewards' device, where scalarizers keep their state."""
        completions, rewards, wanted = drawn.completions, drawn.rewards, self.scalarizer.before
        batch, device = Batch(rewards, drawn.prompt), rewards.device
        if "gramian" in wanted and gramian is None:
            crossed = self.config.gramian == "crossed"
            gramian = policy_gramian(self.model, completions, rewards, self.config, crossed=crossed)
        if "log_ratio_to_reference" in wanted:
            ratio = self.log_prob(completions)
            ratio -= self.log_prob(completions, self.reference)
            batch = batch._replace(log_ratio_to_reference=ratio.to(device))
        if "mask" in wanted:
            batch = batch._replace(mask=completions.mask.to(device))
        return batch._replace(gramian=gramian)

    def log_prob(self, completions: Completions, model: Any = None) -> Tensor:
        """Log-probs (N, T) of the run's policy, or of another one; 0 on padding."""
        model, config = model or self.model, self.config
        return all_token_log_prob(model, completions, config.temperature, config.micro_batch)

    def _advantage(self, signal: Signal, drawn: SampledRollouts) -> Tensor:
        completions = drawn.completions
        if signal.advantage is None:
            score = self.with_terms(signal.score, drawn)
            advantage = group_advantage(score, drawn.prompt, self.config.normaliser)
        else:
            advantage = _checked(signal.advantage, completions.mask, self.config.scalarizer_name)
        advantage = masked(advantage, kept_rows(drawn, self.config, self.ends))
        advantage = advantage.to(completions.tokens.device)
        if self.config.engine_correction == "off":
            return advantage
        weight = importance_weight(self.log_prob(completions), completions, self.config)
        return weighed(advantage, weight)

    def with_terms(self, score: Tensor, drawn: SampledRollouts) -> Tensor:
        """The score with what is no reward: the overlong penalty, and the KL in the reward."""
        config, completions = self.config, drawn.completions
        if config.overlong == "penalise":
            lengths = completions.lengths.to(score.device)
            score = score + overlong_penalty(lengths, config.max_tokens, config.overlong_buffer)
        if config.kl_coefficient and config.kl_place == "reward":
            score = score - config.kl_coefficient * self.distance(completions).to(score.device)
        return score

    def distance(self, completions: Completions) -> Tensor:
        """log π − log π_ref of whole completions: (N,) float64."""
        apart = self.log_prob(completions) - self.log_prob(completions, self.reference)
        return torch.where(completions.mask, apart, 0.0).double().sum(1)


def _checked(advantage: Tensor, mask: Tensor, scalarizer: str) -> Tensor:
    """Refuse an advantage that does not fit the batch or is not finite."""
    shape = tuple(advantage.shape)
    if shape not in {tuple(mask.shape[:1]), tuple(mask.shape)}:
        raise CovlawError(
            f"scalarizer {scalarizer!r} returned an advantage of shape {shape}: give "
            f"{tuple(mask.shape[:1])}, one a completion, or {tuple(mask.shape)}, one a token"
        )
    if not bool(torch.isfinite(advantage).all()):
        raise CovlawError(f"scalarizer {scalarizer!r} returned an advantage that is not finite")
    return advantage.to(torch.float64)


def _is_weighted_score(signal: Signal, rewards: Tensor) -> bool:
    if signal.advantage is not None or signal.weights is None:
        return False
    size = rewards.abs() @ signal.weights.abs()
    gap = (signal.score - rewards @ signal.weights).abs()
    return bool((gap <= rounding(size, 2 * rewards.shape[1])).all())

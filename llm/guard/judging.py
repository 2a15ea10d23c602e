"""What a step does, on completions of the old policy that did not choose it (T8, T63)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.log_prob import distinct, sequence_log_prob
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.guard import Judged


class Seen(NamedTuple):
    """A step's effect on the rows."""

    judged: Judged
    """(M,) exact changes from π_old, on the CPU."""
    log_ratio: Tensor
    """(N,) log π_new − log π_old."""


class ChangeReader:
    """Rows of π_old with its log-probs, until the policy has moved.

    Args:
        model: The policy, at π_old.
        drawn: The rows.
        config: Of the run.
    """

    def __init__(self, model: Any, drawn: SampledRollouts, config: TrainConfig) -> None:
        self.model, self.drawn, self.config = model, drawn, config
        self.rows, self.place = distinct(drawn.completions)
        self.before = self._log_prob()

    @property
    def prompts(self) -> int:
        """How many there are."""
        return int(self.drawn.prompt.unique().numel())

    def see(self) -> Seen:
        """Each objective's exact change from π_old to the model as it is now (T8).

        Raises:
            CovlawError: if the new policy's log-probs are not finite.
        """
        ratio = (self._log_prob() - self.before)[self.place].to(self.drawn.rewards.device)
        if not bool(torch.isfinite(ratio).all()):
            raise CovlawError(
                "a log-prob of the updated policy is not finite on a completion that the guard "
                "observes: the policy has diverged; lower learning_rate, or set grad_clip"
            )
        found = exact_change(self.drawn.rewards, ratio, self.drawn.prompt)
        return Seen(Judged(found.estimate, found.standard_error), ratio)

    def gain(
        self, weights: Tensor, new: Seen, old: Seen, scale: float = 1.0
    ) -> tuple[float, float]:
        """Σ_k μ_k(Δ_k of one step − scale·Δ_k of another), and its error clustered by prompt."""
        apart = new.log_ratio.expm1() - scale * old.log_ratio.expm1()
        found = within_prompt_covariance(self.drawn.rewards @ weights, apart, self.drawn.prompt)
        return float(found.estimate), float(found.standard_error)

    def _log_prob(self) -> Tensor:
        config = self.config
        return sequence_log_prob(self.model, self.rows, config.temperature, config.micro_batch)

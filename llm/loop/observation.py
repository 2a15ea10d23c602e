"""What an adaptive scalarizer sees of an update: rows that took no part in it."""

from collections.abc import Set
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.model.log_prob import distinct, sequence_log_prob
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import Observation
from covlaw.theory.scalarizers.reward_losses import policy_gradient_losses, shortfall


class Observer:
    """Holds some rows of π_old, and its log-probs if they are needed, until the update is done.

    Args:
        model: The policy, at π_old.
        drawn: The rows.
        wanted: Fields of `Observation`; the others are not computed.
        config: Of the run.
    """

    def __init__(
        self, model: Any, drawn: SampledRollouts, wanted: Set[str], config: TrainConfig
    ) -> None:
        self.model, self.drawn, self.wanted, self.config = model, drawn, wanted, config
        self.rows, self.place = distinct(drawn.completions)
        self.before = self._log_prob() if wanted & {"covariance", "losses"} else None

    def see(self) -> Observation:
        """Return what is wanted, (M,) each, on the rewards' device.

        `covariance`: Cov(r_j, ρ), ρ clipped to its range if so configured. `values`: mean rewards
        of the rows, so of the policy that wrote them. `losses`: of π_new, see `_losses`.
        """
        found = {
            "covariance": self._covariance,
            "values": lambda: self.drawn.rewards.mean(0),
            "losses": self._losses,
        }
        wanted = [name for name in found if name in self.wanted]
        return Observation(**{name: active().agreed(found[name](), name) for name in wanted})

    @cached_property
    def _ratio(self) -> Tensor:
        """π_new/π_old of each row (N,).

        Raises:
            CovlawError: if one is not finite.
        """
        assert self.before is not None  # noqa: S101  # asked for at the start
        ratio = torch.exp(self._log_prob() - self.before)[self.place]
        if not bool(torch.isfinite(ratio).all()):
            raise CovlawError(
                "the importance ratio of an observed completion is not finite: the policy has "
                "diverged; lower learning_rate, or set grad_clip"
            )
        return ratio

    def _covariance(self) -> Tensor:
        ratio = self._ratio
        if self.config.observe == "clipped_ratio":
            lengths = self.drawn.completions.lengths
            ratio = self.config.make_loss().bounded_ratio(ratio, lengths)
        rewards, prompt = self.drawn.rewards, self.drawn.completions.prompt
        found: Tensor = within_prompt_covariance(rewards, ratio, prompt).estimate
        return found.to(rewards.device)

    def _losses(self) -> Tensor:
        """The shortfall from the best reward, or as in reference implementations, of any sign."""
        rewards, ratio = self.drawn.rewards, self._ratio.to(self.drawn.rewards.device)
        prompt = self.drawn.prompt
        if self.config.as_reference:
            return policy_gradient_losses(rewards, ratio, prompt)
        return shortfall(rewards, ratio, prompt, self.config.reward_range)

    def _log_prob(self) -> Tensor:
        config = self.config
        return sequence_log_prob(self.model, self.rows, config.temperature, config.micro_batch)

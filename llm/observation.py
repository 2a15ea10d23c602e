"""What an adaptive scalarizer sees of an update: rows that took no part in it."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config import TrainConfig
from covlaw.llm.log_prob import distinct, sequence_log_prob
from covlaw.llm.sampling import Drawn
from covlaw.theory.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import Observation


class Observer:
    """Holds π_old's log-probs of some rows until the update is done."""

    def __init__(self, model: Any, drawn: Drawn, config: TrainConfig) -> None:
        self.model, self.drawn, self.config = model, drawn, config
        self.rows, self.place = distinct(drawn.completions)
        self.before = self._log_prob()

    def see(self) -> Observation:
        """Cov(r_j, ρ) and the mean rewards, (M,) each; ρ clipped to its range if so configured.

        On the rewards' device, where scalarizers keep their state.
        """
        ratio: Tensor = torch.exp(self._log_prob() - self.before)[self.place]
        if self.config.observe == "clipped_ratio":
            ratio = ratio.clamp(1 - self.config.clip_low, 1 + self.config.clip_high)
        rewards, prompt = self.drawn.rewards, self.drawn.completions.prompt
        covariance = within_prompt_covariance(rewards, ratio, prompt).estimate
        return Observation(covariance=covariance.to(rewards.device), values=rewards.mean(0))

    def _log_prob(self) -> Tensor:
        config = self.config
        return sequence_log_prob(self.model, self.rows, config.temperature, config.micro_batch)

"""How far an update moved the policy on the batch that made it."""

import logging
import math
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.model.log_prob import all_token_log_prob
from covlaw.llm.model.precision import training_pass
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.errors import CovlawError

EXPLODED = math.log(1000)
"""|log ratio| of one completion from which a word is said: no clip range or forecast is about such
steps."""

_log = logging.getLogger("covlaw")


class Movement:
    """Reads some completions of each batch again after its update.

    Args:
        model: The policy.
        config: Of the run: `moved_rows` says how many.
    """

    def __init__(self, model: Any, config: TrainConfig) -> None:
        self.model, self.config, self._said = model, config, False

    def see(
        self, step: int, completions: Completions, before: Tensor | None
    ) -> dict[str, float] | None:
        """What the record holds under `moved`, or None where nothing is read.

        With ρ_t = π_new/π_old of a token: `log_ratio`, the mean |Σ_t log ρ_t| of a completion;
        `largest`, its maximum; `kl`, the mean of Σ_t (ρ_t − 1 − log ρ_t), which is KL(π_old ‖
        π_new) of completions in nats, estimated without bias and never negative (k3 of Schulman
        2020 a token); `rows` completions were read. They are some of the batch's own, on which a
        step is largest.

        Args:
            step: Of the run, for the message.
            completions: The batch's.
            before: (N, T) log-probs of π_old on them; the model is at π_new.

        Raises:
            CovlawError: if a new log-prob is not finite.
        """
        count = min(self.config.moved_rows, len(completions.text))
        if before is None or count == 0:
            return None
        index = torch.linspace(0, len(completions.text) - 1, count).round().long()
        index = index.to(completions.tokens.device)
        rows = completions.rows(index)
        with training_pass(self.model, self.config):
            new = all_token_log_prob(
                self.model, rows, self.config.temperature, self.config.micro_batch
            )
        old = before[index, : new.shape[1]].to(new)
        found = movement(torch.where(rows.mask, new - old, 0.0))
        self._judge(step, found)
        return found

    def _judge(self, step: int, found: dict[str, float]) -> None:
        if not math.isfinite(found["log_ratio"]):
            raise CovlawError(
                "a log-prob of the updated policy is not finite on its own batch: the policy has "
                "diverged; lower learning_rate, or set grad_clip"
            )
        if found["largest"] > EXPLODED and not self._said and active().first:
            self._said = True
            _log.warning(
                "step %d changed the probability of a completion of its own batch by a factor of "
                "e^%.1f: no clip range or forecast covers such steps; lower learning_rate (said "
                "once; `moved` in steps.jsonl has every step)",
                step,
                found["largest"],
            )


def movement(log_ratio: Tensor) -> dict[str, float]:
    """The entries of `Movement.see` from log ρ_t, (N, T) float64, 0 on padding."""
    whole = log_ratio.sum(1).abs()
    apart = (torch.expm1(log_ratio) - log_ratio).sum(1)
    return {
        "log_ratio": float(whole.mean()),
        "largest": float(whole.max()),
        "kl": float(apart.mean()),
        "rows": len(whole),
    }

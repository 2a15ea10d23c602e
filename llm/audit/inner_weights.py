"""What the loss left of an advantage at each inner step of an update, on a sample of π_old."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.audit.terms import Transition
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.log_prob import all_token_log_prob, distinct
from covlaw.llm.model.parameters import at
from covlaw.llm.sampling.rollout import SampledRollouts


def inner_weights(
    model: Any, sample: SampledRollouts, moved: Transition, config: TrainConfig
) -> list[tuple[Tensor, Tensor]]:
    """Return (W, log-ratio) of each inner step on a sample, (N,) float64 each.

    The first is at π_old, where the ratio is 1 whatever the log-probs are: they are read only
    where later steps are compared with them.
    """
    rows, place = distinct(sample.completions)
    mask, loss = rows.mask[place], config.make_loss()
    advantage = sample.trained_advantage().to(mask.device)
    still = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
    if len(moved.trace.iterates) == 1:
        return [(loss.weight(advantage, still, mask), still.sum(1))]
    weights, start = [], None
    for parameters in moved.trace.iterates:
        with at(model, parameters):
            log_prob = all_token_log_prob(model, rows, config.temperature, config.micro_batch)
        start = log_prob if start is None else start
        ratio = (log_prob - start)[place]
        weights.append((loss.weight(advantage, ratio, mask), ratio.sum(1)))
    return weights

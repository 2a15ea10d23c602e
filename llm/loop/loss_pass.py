"""One forward and backward pass over a batch's loss, micro-batch by micro-batch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.gradients import summed_gradients
from covlaw.llm.distributed.processes import active
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import token_values
from covlaw.llm.model.precision import training_pass
from covlaw.theory.losses.clipping import unclipped
from covlaw.theory.losses.policy_losses import (
    aggregate,
    clipped_policy_loss,
    kl_to_reference,
    share_of,
)


class Seen(NamedTuple):
    """What a pass saw of a batch."""

    log_prob: Tensor
    """(N, T) of the model at the pass; 0 on padding."""
    entropy: float | None
    """Mean a token in nats, where the loss has a bonus on it."""
    clipped_low: int
    """Tokens clipped with a negative advantage."""
    clipped_high: int
    """Tokens clipped with another one."""


def accumulate(
    model: Any, batch: TrainingBatch, config: TrainConfig, regularised: bool = True
) -> Seen:
    """Add the gradient of a whole batch's loss to `.grad`.

    L = L_clip + β·KL − c·H, each term aggregated alike (`policy_losses.aggregate`); β is
    `kl_coefficient`, c `entropy_coefficient`. Micro-batches add up to the batch's own loss, not to
    a mean of their means; nor do the rows of several processes, each of which must be here, with
    the same batch. Without `regularised`, L_clip alone.
    """
    mask = batch.completions.mask
    with training_pass(model, config), summed_gradients(model):
        seen = [
            _backward(model, part, mask, config, regularised)
            for part in batch.parts(config.micro_batch)
        ]
    log_prob, entropy, low, high = _whole(seen, mask)
    wants_entropy = regularised and config.entropy_coefficient > 0
    mean = entropy / max(int(mask.sum()), 1) if wants_entropy else None
    return Seen(log_prob, mean, int(low), int(high))


def _whole(seen: list[Seen], mask: Tensor) -> tuple[Tensor, float, float, float]:
    """Log-probs of all rows; sums over all micro-batches of entropies and of clipped tokens."""
    width = mask.shape[1]
    rows = [pad(s.log_prob, (0, width - s.log_prob.shape[1])) for s in seen]
    log_prob = torch.cat(rows) if rows else torch.zeros(0, width)  # a rank may have no rows
    columns = zip(*((s.entropy or 0.0, s.clipped_low, s.clipped_high) for s in seen), strict=True)
    sums = torch.tensor([sum(column) for column in columns] or [0.0] * 3, dtype=torch.float64)
    parts = active().gather({"log_prob": log_prob, "sums": sums}, "log-probs")
    totals = torch.stack([part["sums"] for part in parts]).sum(0).tolist()
    return torch.cat([part["log_prob"] for part in parts]).to(mask.device), *totals


def _backward(
    model: Any, part: TrainingBatch, whole: Tensor, config: TrainConfig, regularised: bool
) -> Seen:
    """Return what was seen of a micro-batch; its `entropy` is a sum over tokens."""
    completions, wants_entropy = part.completions, regularised and config.entropy_coefficient > 0
    values = token_values(model, completions, config.temperature, wants_entropy)
    log_prob, old = values.log_prob, part.behaviour_log_prob
    ratio = log_prob - (log_prob.detach() if old is None else old)
    loss = clipped_policy_loss(
        part.advantage, ratio, completions.mask, *config.clip, config.aggregation
    )
    if regularised:
        loss = loss + _penalty(part, log_prob, values.entropy, config)
    (loss * share_of(completions.mask, whole, config.aggregation)).backward()
    entropy = None if values.entropy is None else float(values.entropy.detach().sum())
    return Seen(log_prob.detach(), entropy, *_clipped(part, ratio.detach(), config))


def _penalty(
    part: TrainingBatch, log_prob: Tensor, entropy: Tensor | None, config: TrainConfig
) -> Tensor:
    """β·KL − c·H of a micro-batch."""
    mask, total = part.completions.mask, log_prob.new_zeros(())
    if part.reference_log_prob is not None:
        kl = kl_to_reference(log_prob, part.reference_log_prob, config.kl_estimator)
        total = total + config.kl_coefficient * aggregate(kl, mask, config.aggregation)
    if entropy is not None:
        total = total - config.entropy_coefficient * aggregate(entropy, mask, config.aggregation)
    return total


def _clipped(part: TrainingBatch, ratio: Tensor, config: TrainConfig) -> tuple[int, int]:
    advantage = part.advantage.reshape(len(part.advantage), -1)
    clipped = ~unclipped(advantage, ratio, *config.clip) & part.completions.mask
    return int((clipped & (advantage < 0)).sum()), int((clipped & (advantage >= 0)).sum())

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
from covlaw.theory.losses.kl_penalty import kl_to_reference


class Seen(NamedTuple):
    """What a pass saw of a batch."""

    log_prob: Tensor
    """(N, T) of the model at the pass; 0 on padding."""
    entropy: float | None
    """Mean a token in nats, where the loss has a bonus on it."""
    clipped_low: int
    """Tokens that the loss's lower range held back, with dual clip the upper one where A < 0."""
    clipped_high: int
    """Tokens that its upper range did."""


def accumulate(
    model: Any, batch: TrainingBatch, config: TrainConfig, regularised: bool = True
) -> Seen:
    """Add the gradient of a whole batch's loss to `.grad`.

    L = L_policy + β·KL − c·H, each term aggregated as the policy's loss (`config.loss`) is; β is
    `kl_coefficient`, c `entropy_coefficient`. Micro-batches add up to the batch's own loss, not to
    a mean of their means; nor do the rows of several processes, each of which must be here, with
    the same batch. Without `regularised`, L_policy alone.
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
    policy_loss = config.make_loss()
    loss = policy_loss.loss(part.advantage, ratio, completions.mask)
    if regularised:
        loss = loss + _penalty(part, log_prob, values.entropy, config)
    (loss * policy_loss.share(completions.mask, whole)).backward()
    entropy = None if values.entropy is None else float(values.entropy.detach().sum())
    held = policy_loss.clipped(part.advantage, ratio.detach(), completions.mask)
    return Seen(log_prob.detach(), entropy, *(int(tokens.sum()) for tokens in held))


def _penalty(
    part: TrainingBatch, log_prob: Tensor, entropy: Tensor | None, config: TrainConfig
) -> Tensor:
    """β·KL − c·H of a micro-batch."""
    mask, total = part.completions.mask, log_prob.new_zeros(())
    aggregate = config.make_loss().aggregate
    if part.reference_log_prob is not None:
        kl = kl_to_reference(log_prob, part.reference_log_prob, config.kl_estimator)
        total = total + config.kl_coefficient * aggregate(kl, mask)
    if entropy is not None:
        total = total - config.entropy_coefficient * aggregate(entropy, mask)
    return total

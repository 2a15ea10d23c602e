"""One batch's policy update: some clipped inner steps, in micro-batches, with what audits need."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config import TrainConfig
from covlaw.llm.engine import Completions
from covlaw.llm.engine_gap import check_gap, log_prob_gap
from covlaw.llm.log_prob import micro_batches, token_log_prob
from covlaw.llm.parameters import copy_of, gradients, trainable
from covlaw.theory.clipping import unclipped
from covlaw.theory.errors import CovlawError
from covlaw.theory.losses import clipped_policy_loss, kl_to_reference


class TrainingBatch(NamedTuple):
    """What makes an update."""

    completions: Completions
    advantage: Tensor
    """(N,) float64, or (N, T) where it differs from token to token."""


@dataclass
class StepTrace:
    """What happened in an update; parameters and gradients only where `keep` asked for them.

    The norm and the clip fractions are those of the last inner step.
    """

    grad_norm: float = 0.0
    clip_fraction_low: float = 0.0
    clip_fraction_high: float = 0.0
    kl_reference: float | None = None
    engine_log_prob_gap: float = 0.0
    iterates: list[dict[str, Tensor]] = field(default_factory=list)
    """Parameters at the start of each inner step."""
    ascent: list[dict[str, Tensor]] = field(default_factory=list)
    """Minus the loss gradient of each inner step, before clipping its norm."""


def policy_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    config: TrainConfig,
    reference: Any = None,
    keep: bool = False,
) -> StepTrace:
    """Carry out `config.epochs` inner steps on one batch.

    The behaviour policy is the model at entry, recomputed by the trainer; the engine's own
    log-probs only serve to measure the gap between the two.

    Raises:
        CovlawError: if the engine's log-probs are not the model's, or the gradient is not finite;
            before anything reaches the parameters.
    """
    trace = StepTrace()
    old: list[Tensor] = []
    for _ in range(config.epochs):
        if keep:
            trace.iterates.append(copy_of(model))
        optimizer.zero_grad(set_to_none=True)
        accumulate(model, batch, config, old, trace, reference)
        check_gap(trace.engine_log_prob_gap, config, model)
        if keep:
            trace.ascent.append({name: -g for name, g in gradients(model).items()})
        limit = config.grad_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(list(trainable(model).values()), limit)
        trace.grad_norm = float(norm)
        if not math.isfinite(trace.grad_norm):
            raise CovlawError(
                f"the gradient's norm is {trace.grad_norm}: the policy has diverged; lower "
                "learning_rate, or set grad_clip (what was recorded stays)"
            )
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return trace


def accumulate(
    model: Any,
    batch: TrainingBatch,
    config: TrainConfig,
    old: list[Tensor],
    trace: StepTrace,
    reference: Any = None,
) -> None:
    """Add the loss gradient of a whole batch to `.grad`, micro-batch by micro-batch.

    `old` holds the behaviour policy's token log-probs by micro-batch; where it is empty, the
    model's own are the behaviour's (ratio 1) and are kept in it.
    """
    tokens, first = int(batch.completions.mask.sum()), not old
    sums = {"low": 0.0, "high": 0.0, "kl": 0.0}
    for k, (part, advantage) in enumerate(micro_batches(*batch, config.micro_batch)):
        log_prob = token_log_prob(model, part, config.temperature)
        if first:
            old.append(log_prob.detach())
            gap = log_prob_gap(old[k], part, model, config)
            trace.engine_log_prob_gap = max(trace.engine_log_prob_gap, gap)
        ratio = log_prob - old[k]
        loss = clipped_policy_loss(advantage, ratio, part.mask, *config.clip, config.aggregation)
        total = loss * share_of(part, batch.completions, config.aggregation)
        if reference is not None:
            kl = _kl(log_prob, reference, part, config)
            total = total + config.kl_coefficient * kl / tokens
            sums["kl"] += float(kl.detach())
        total.backward()
        _count_clipped(sums, advantage, ratio.detach(), part.mask, config)
    trace.clip_fraction_low, trace.clip_fraction_high = sums["low"] / tokens, sums["high"] / tokens
    if reference is not None and first:
        trace.kl_reference = sums["kl"] / tokens


def share_of(part: Completions, batch: Completions, aggregation: str) -> float:
    """Weight of a part's mean loss in the batch's: its share of the tokens or of the rows."""
    if aggregation == "token_mean":
        return int(part.mask.sum()) / int(batch.mask.sum())
    return len(part.mask) / len(batch.mask)


def _count_clipped(
    sums: dict[str, float], advantage: Tensor, ratio: Tensor, mask: Tensor, config: TrainConfig
) -> None:
    advantage = advantage.reshape(len(advantage), -1)
    clipped = ~unclipped(advantage, ratio, *config.clip) & mask
    sums["low"] += float((clipped & (advantage < 0)).sum())
    sums["high"] += float((clipped & (advantage >= 0)).sum())


def _kl(log_prob: Tensor, reference: Any, part: Completions, config: TrainConfig) -> Tensor:
    with torch.no_grad():
        reference_log_prob = token_log_prob(reference, part, config.temperature)
    per_token = kl_to_reference(log_prob, reference_log_prob, config.kl_estimator)
    return torch.where(part.mask, per_token, 0.0).sum()

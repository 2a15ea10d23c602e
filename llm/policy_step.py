"""One batch's policy update: some clipped inner steps, in micro-batches, with what audits need."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config import TrainConfig
from covlaw.llm.engine import Completions
from covlaw.llm.log_prob import chunks, token_log_prob
from covlaw.llm.parameters import copy_of, gradients, trainable
from covlaw.theory.clipping import unclipped
from covlaw.theory.losses import clipped_policy_loss, kl_to_reference


class TrainingBatch(NamedTuple):
    """What makes an update."""

    completions: Completions
    advantage: Tensor
    """(N,) float64."""


@dataclass
class StepTrace:
    """What happened in an update; parameters and gradients only where `keep` asked for them."""

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
    """
    trace = StepTrace()
    old: list[Tensor] = []
    for epoch in range(config.epochs):
        if keep:
            trace.iterates.append(copy_of(model))
        optimizer.zero_grad(set_to_none=True)
        _accumulate(model, batch, config, reference, old, trace, first=epoch == 0)
        if keep:
            trace.ascent.append({name: -g for name, g in gradients(model).items()})
        limit = config.grad_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(list(trainable(model).values()), limit)
        trace.grad_norm = float(norm)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return trace


def _accumulate(
    model: Any,
    batch: TrainingBatch,
    config: TrainConfig,
    reference: Any,
    old: list[Tensor],
    trace: StepTrace,
    first: bool,
) -> None:
    rows = batch.advantage.shape[0]
    all_tokens = int(batch.completions.mask.sum())
    low = high = kl_sum = 0.0
    advantages = batch.advantage.split(config.micro_batch)
    parts = zip(chunks(batch.completions, config.micro_batch), advantages, strict=True)
    for k, (part, advantage) in enumerate(parts):
        log_prob = token_log_prob(model, part, config.temperature)
        if first:
            old.append(log_prob.detach())
            gap = float((old[k] - part.log_prob).abs().max())
            trace.engine_log_prob_gap = max(trace.engine_log_prob_gap, gap)
        log_ratio = log_prob - old[k]
        loss = clipped_policy_loss(
            advantage, log_ratio, part.mask, *config.clip, config.aggregation
        )
        tokens = int(part.mask.sum())
        share = advantage.shape[0] / rows
        share = tokens / all_tokens if config.aggregation == "token_mean" else share
        total = loss * share
        if reference is not None:
            kl = _kl(log_prob, reference, part, config)
            total = total + config.kl_coefficient * kl / all_tokens
            kl_sum += float(kl.detach())
        total.backward()
        clipped = ~unclipped(advantage[:, None], log_ratio.detach(), *config.clip) & part.mask
        low += float((clipped & (advantage[:, None] < 0)).sum())
        high += float((clipped & (advantage[:, None] >= 0)).sum())
    trace.clip_fraction_low, trace.clip_fraction_high = low / all_tokens, high / all_tokens
    if reference is not None and first:
        trace.kl_reference = kl_sum / all_tokens


def _kl(log_prob: Tensor, reference: Any, part: Completions, config: TrainConfig) -> Tensor:
    with torch.no_grad():
        reference_log_prob = token_log_prob(reference, part, config.temperature)
    per_token = kl_to_reference(log_prob, reference_log_prob, config.kl_estimator)
    return torch.where(part.mask, per_token, 0.0).sum()

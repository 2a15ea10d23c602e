"""One batch's policy update: clipped inner steps, with what audits need of each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.randomness import torch_stream
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import all_token_log_prob
from covlaw.llm.model.parameters import copy_of, gradients, trainable
from covlaw.llm.model.precision import training_pass
from covlaw.llm.sampling.engine_correction import gap_record
from covlaw.llm.sampling.engine_gap import require_same_policy
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.losses.kl_penalty import kl_to_reference


@dataclass
class StepTrace:
    """What happened in an update; parameters and gradients only where `keep` asked for them.

    Gap, KL and entropy are of the policy before it; norm and clip fractions of its last inner step.
    """

    grad_norm: float = 0.0
    clip_fraction_low: float = 0.0
    clip_fraction_high: float = 0.0
    kl_reference: float | None = None
    """Mean a token, by the run's estimator, whatever the loss's aggregation."""
    entropy: float | None = None
    """Mean a token in nats over the first inner step's rows, where the loss has a bonus on it."""
    engine_log_prob_gap: float = 0.0
    engine_log_prob_rms: float = 0.0
    log_prob: Tensor | None = None
    """(N, T) of the policy before the update, on the batch's rows."""
    engine_gap: dict[str, float] | None = None
    """Its distribution, where the engine has weights of its own or is corrected (`gap_record`)."""
    iterates: list[dict[str, Tensor]] = field(default_factory=list)
    """Parameters at the start of each inner step."""
    ascent: list[dict[str, Tensor]] = field(default_factory=list)
    """Minus the loss gradient of each inner step, its KL and entropy terms included, before
    clipping its norm."""


def policy_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    config: TrainConfig,
    reference: Any = None,
    keep: bool = False,
    step: int = 0,
) -> StepTrace:
    """Carry out `config.epochs` × `config.mini_batches` inner steps on one batch.

    The behaviour policy is the model at entry, recomputed by the trainer; the engine's own
    log-probs only serve to measure the gap between the two. Advantages are the whole batch's.

    Args:
        model: π_old; updated in place by `optimizer`.
        optimizer: Of its parameters.
        batch: Completions and advantages.
        config: Of the run.
        reference: Policy that the KL term pulls to, or None.
        keep: Whether to keep parameters and gradients of each inner step: as many copies.
        step: Of the run; with its seed it decides the mini-batches.

    Raises:
        CovlawError: if the engine did not sample from the model, or the gradient is not finite;
            before anything reaches the parameters.
    """
    batch, trace = _anchored(model, batch, config, reference), StepTrace()
    for k, rows in enumerate(mini_batches(len(batch.advantage), config, step)):
        part = batch if rows is None else batch.rows(rows)
        if k == 0:  # at π_old the ratio is exactly 1, not a rounding beside it
            part = part._replace(behaviour_log_prob=None)
        if keep:
            trace.iterates.append(copy_of(model))
        optimizer.zero_grad(set_to_none=True)
        seen = accumulate(model, part, config)
        if keep:
            trace.ascent.append({name: -g for name, g in gradients(model).items()})
        tokens = max(int(part.completions.mask.sum()), 1)
        trace.clip_fraction_low = seen.clipped_low / tokens
        trace.clip_fraction_high = seen.clipped_high / tokens
        trace.grad_norm = _clip_norm(model, config.grad_clip)
        if k == 0:
            trace.entropy = seen.entropy
            if batch.behaviour_log_prob is None:
                batch = batch._replace(behaviour_log_prob=seen.log_prob)
            gap = require_same_policy(model, batch, config)
            trace.engine_log_prob_gap, trace.engine_log_prob_rms = gap.largest, gap.rms
            trace.engine_gap = _gaps(batch, config)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    _compare(trace, batch, config)
    return trace


def mini_batches(count: int, config: TrainConfig, step: int) -> Iterator[Tensor | None]:
    """Rows of each inner step, or None for all of them.

    Each epoch shuffles `count` rows anew and parts them into `config.mini_batches`, equal but for
    one row; a prompt's completions need not stay together, for the advantages are made already.
    """
    if config.mini_batches == 1:
        yield from [None] * config.epochs
        return
    generator = torch_stream(config.seed, step, "mini_batches", "cpu")
    for _ in range(config.epochs):
        shuffled = torch.randperm(count, generator=generator)
        yield from (rows.sort().values for rows in shuffled.tensor_split(config.mini_batches))


def _anchored(
    model: Any, batch: TrainingBatch, config: TrainConfig, reference: Any
) -> TrainingBatch:
    """Add the log-probs that the inner steps compare with, read once.

    With a single mini-batch the first inner step reads the behaviour policy's in passing.
    """

    def read(policy: Any) -> Tensor:
        with training_pass(policy, config):
            found = all_token_log_prob(
                policy, batch.completions, config.temperature, config.micro_batch
            )
        return found.to(torch.float32)

    if reference is not None:
        batch = batch._replace(reference_log_prob=read(reference))
    return batch if config.mini_batches == 1 else batch._replace(behaviour_log_prob=read(model))


def _gaps(batch: TrainingBatch, config: TrainConfig) -> dict[str, float] | None:
    old = batch.behaviour_log_prob
    same = config.engine == "transformers" and config.engine_correction == "off"
    return None if same or old is None else gap_record(old, batch.completions, config)


def _clip_norm(model: Any, limit: float) -> float:
    parameters = list(trainable(model).values())
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit or float("inf")))
    if not math.isfinite(norm):
        raise CovlawError(
            f"the gradient's norm is {norm}: the policy has diverged; lower learning_rate, or set "
            "grad_clip (what was recorded stays)"
        )
    return norm


def _compare(trace: StepTrace, batch: TrainingBatch, config: TrainConfig) -> None:
    """Note the behaviour policy's log-probs, and how far it is from the reference."""
    mask, old = batch.completions.mask, batch.behaviour_log_prob
    assert old is not None  # noqa: S101  # there is a first inner step
    trace.log_prob = old
    if batch.reference_log_prob is not None:
        kl = kl_to_reference(old, batch.reference_log_prob, config.kl_estimator)[mask]
        trace.kl_reference = float(kl.double().mean())

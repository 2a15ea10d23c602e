"""Audits: what the covariance law forecast for one real update, and what then happened.

All samples are drawn apart from the batch that made the update, on prompts chosen apart from its
(some may be the same): one of π_old for the expected gradients, one of π_old for every covariance,
and one each of π_old and π_new for the values before and after. The batch itself is judged too, to
show how optimistic that is.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.policy_step import StepTrace
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import (
    Along,
    along_direction,
    distinct,
    plain_attention,
    sequence_log_prob,
)
from covlaw.llm.model.parameters import Parameters, at, difference, gradients, trainable
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.budget import ScoreFields


@dataclass(frozen=True, eq=False)
class Transition:
    """One update of the policy, from the trainer."""

    trace: StepTrace
    learning_rate: float
    reference: Any = None
    """Policy that the loss's KL term pulled to, if any."""

    @property
    def old(self) -> Parameters:
        """π_old: where the first inner step began."""
        return self.trace.iterates[0]


def law_signal(sample: SampledRollouts, config: TrainConfig) -> Tensor:
    """The law's s (N,): what the advantage acts as in the run's loss (T18).

    An advantage a_t that differs from token to token acts as the token tilt along
    w_t = E[a_t|h_t, y_t] (T16), which is Cov(r_j, s) with s = Σ_t(w_t − E[w_t|h_t]). Where a_t
    is one scalar, s is that scalar; else samples do not show s, and no sum or mean of a_t
    stands for it: 0 here, and the law's terms of the audit are null.
    """
    advantage = sample.trained_advantage()
    lengths = sample.completions.lengths.to(advantage.device)
    score = config.make_loss().score(advantage, lengths)
    return advantage.new_zeros(len(advantage)) if score is None else score


def update_fields(
    model: Any,
    sample: SampledRollouts,
    gradient_sample: SampledRollouts,
    moved: Transition,
    config: TrainConfig,
) -> ScoreFields:
    """Return the score-field chain of a real update on a sample of π_old (T9), (N,) float64 each.

    The model is at π_new. The first fields are summed over all inner steps, mini-batches included.
    A KL or entropy term of the loss is no part of the law: it enters with the batch's gradient and
    so with the sampling gap, of which `covlaw.llm.audit.penalty` says how much it is.
    """
    rows, place = distinct(sample.completions)
    step = difference(trainable(model), moved.old)
    new = _read(model, rows, config)
    expected = expected_ascent(model, gradient_sample, moved, config)
    rate, inner = moved.learning_rate, len(expected)
    with at(model, moved.old):

        def along(direction: Parameters) -> Tensor:
            return _along(model, rows, direction, config).slope[place]

        kernel = rate * inner * along(expected[0])
        clipped = kernel if inner == 1 else rate * along(_total(expected))
        batch = rate * along(_total(moved.trace.ascent))
        old, realised = _along(model, rows, step, config)
    return ScoreFields(
        law_signal(sample, config).to(realised.device),
        kernel,
        clipped,
        batch,
        realised[place],
        (new - old)[place],
    )


def step_fields(
    model: Any, sample: SampledRollouts, moved: Transition, config: TrainConfig
) -> ScoreFields:
    """Return the chain without its gradient fields, which are left at the step's.

    For the batch that made the update, and for light audits: no budget is taken on it; only the
    signal, the step and the log-ratio are read.
    """
    rows, place = distinct(sample.completions)
    step = difference(trainable(model), moved.old)
    new = _read(model, rows, config)
    with at(model, moved.old):
        old, realised = _along(model, rows, step, config)
    unread, signal = realised[place], law_signal(sample, config).to(realised.device)
    return ScoreFields(signal, unread, unread, unread, unread, (new - old)[place])


def _read(model: Any, rows: Completions, config: TrainConfig) -> Tensor:
    """Log-probs to be compared with those that come with a derivative."""
    with plain_attention():
        return sequence_log_prob(model, rows, config.temperature, config.micro_batch)


def _along(model: Any, rows: Completions, direction: Parameters, config: TrainConfig) -> Along:
    return along_direction(model, rows, direction, config.temperature, config.micro_batch)


def expected_ascent(
    model: Any, sample: SampledRollouts, moved: Transition, config: TrainConfig
) -> list[dict[str, Tensor]]:
    """Return G_W of each inner step, estimated on a sample apart from the batch; the first is G_s.

    At the first inner step the ratio is 1 and nothing is clipped, so W = A (T26). A mini-batch is
    a random part of the batch, so its expected gradient is the whole sample's.
    """
    batch = TrainingBatch.of(sample)
    found = []
    for parameters in moved.trace.iterates:
        with at(model, parameters):
            seen = accumulate(model, batch, config, regularised=False)
        if batch.behaviour_log_prob is None:
            batch = batch._replace(behaviour_log_prob=seen.log_prob)
        found.append({name: -g for name, g in gradients(model).items()})
        model.zero_grad(set_to_none=True)
    return found


def _total(directions: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([d[name] for d in directions]).sum(0) for name in directions[0]}

"""What the KL and entropy terms of a loss did to each objective, apart from the law."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.audit.terms import Transition
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import all_token_log_prob, directional_log_prob, distinct
from covlaw.llm.model.parameters import at, gradients
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.covariance import within_prompt_covariance


def penalty_record(
    model: Any,
    test: SampledRollouts,
    gradient_sample: SampledRollouts,
    moved: Transition,
    config: TrainConfig,
) -> dict[str, list[float]] | None:
    """Cov(r_j, `penalty_field`), {estimate, se} of (M,) each; None where the loss has no penalty.

    To first order what the penalties were expected to do to each objective. It is a part of the
    budget's sampling gap, for the law knows the policy loss only.
    """
    field = penalty_field(model, test, gradient_sample, moved, config)
    if field is None:
        return None
    found = within_prompt_covariance(test.rewards, field, test.prompt)
    return {"estimate": found.estimate.tolist(), "se": found.standard_error.tolist()}


def penalty_field(
    model: Any,
    sample: SampledRollouts,
    gradient_sample: SampledRollouts,
    moved: Transition,
    config: TrainConfig,
) -> Tensor | None:
    """η⟨∇log π, Σ_k E[∇(−β·KL + c·H)]⟩ on a sample of π_old, (N,) float64; None without them.

    The model is at π_new. Expected gradients are estimated on `gradient_sample`, as the law's are.
    """
    if moved.reference is None and config.entropy_coefficient == 0:
        return None
    batch = _without_advantage(gradient_sample, moved.reference, config)
    model.zero_grad(set_to_none=True)
    for parameters in moved.trace.iterates:
        with at(model, parameters):
            accumulate(model, batch, config)
    ascent = {name: -g for name, g in gradients(model).items()}
    model.zero_grad(set_to_none=True)
    rows, place = distinct(sample.completions)
    with at(model, moved.old):
        slope = directional_log_prob(model, rows, ascent, config.temperature, config.micro_batch)
    return moved.learning_rate * slope[place]


def _without_advantage(
    sample: SampledRollouts, reference: Any, config: TrainConfig
) -> TrainingBatch:
    """At advantage 0 the clipped loss has no gradient, whatever the ratio."""
    completions = sample.completions
    none = torch.zeros(len(completions.text), dtype=torch.float64, device=completions.tokens.device)
    batch = TrainingBatch(completions, none)
    if reference is None:
        return batch
    log_prob = all_token_log_prob(reference, completions, config.temperature, config.micro_batch)
    return batch._replace(reference_log_prob=log_prob.to(torch.float32))

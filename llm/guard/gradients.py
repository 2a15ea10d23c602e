"""Policy gradients of the objectives, from completions that took no part in an update."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.distributed.rows import own_pieces
from covlaw.llm.model.log_prob import distinct, token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.precision import training_pass
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.advantages import leave_one_out


def objective_gradients(model: Any, drawn: SampledRollouts, config: TrainConfig) -> Tensor:
    """ĝ_j = mean over prompts of 1/K Σ_i (r_ij − mean of the others')·∇log π(y_i): (M, D) float32.

    Unbiased for ∇J_j at the policy that drew the rows, the sum over tokens whatever the run's
    aggregation. D: the trainable parameters, in their order. One forward pass for all objectives
    and a backward pass each, of rows that differ and count: a completion drawn twice is read once,
    a prompt without differences in reward not at all. No `.grad` is touched.

    Args:
        model: The policy that drew the rows.
        drawn: N rows, at least 2 of each prompt.
        config: Temperature, precision and micro-batch size.

    Raises:
        CovlawError: naming an objective whose gradient is not finite.
    """
    parameters = list(trainable(model).values())
    rows, weights = _weighted_rows(drawn)
    total = parameters[0].new_zeros(weights.shape[1], sum(p.numel() for p in parameters))
    plain = replace(config, compile_layers=False)  # compiled layers go back once only
    with training_pass(model, plain):
        for piece in own_pieces(len(weights), config.micro_batch, weights.device):
            part = rows.rows(piece)
            log_prob = token_log_prob(model, part, config.temperature).sum(1)
            _add_gradients(total, log_prob, weights[piece].to(log_prob.dtype), parameters)
    active().sum_in_place([total], "the guard's gradients")
    finite = torch.isfinite(total).all(1).tolist()
    broken = [n for n, fine in zip(drawn.names, finite, strict=True) if not fine]
    if broken:
        raise CovlawError(
            f"the guard's gradient of {', '.join(broken)} is not finite: the policy has diverged; "
            "lower learning_rate, or set grad_clip"
        )
    return total


def _weighted_rows(drawn: SampledRollouts) -> tuple[Completions, Tensor]:
    """Distinct rows that count, and their weights (n, M) on the policy's device."""
    groups = group_by_prompt(drawn.prompt)
    share = groups.share(None) / len(groups.prompts)
    varies = groups.spread(groups.span(drawn.rewards) > 0)  # or else a centred 0 is a rounding
    columns = [leave_one_out(reward, groups) * share for reward in drawn.rewards.unbind(1)]
    own = torch.where(varies, torch.stack(columns, 1), 0.0)
    rows, place = distinct(drawn.completions)
    total = own.new_zeros(len(rows.text), own.shape[1]).index_add(0, place.to(own.device), own)
    kept = (total != 0).any(1).nonzero()[:, 0]
    order = kept[rows.lengths.to(kept.device)[kept].argsort(stable=True)]  # little padding
    device = rows.tokens.device
    return rows.rows(order.to(device)), total[order].to(device)


def _add_gradients(
    total: Tensor, log_prob: Tensor, weights: Tensor, parameters: Sequence[Tensor]
) -> None:
    """Add the gradients of weights' (M,) sums of log-probs to the rows of `total`."""
    live = [j for j in range(weights.shape[1]) if bool(weights[:, j].any())]
    for j in live:
        found = torch.autograd.grad(
            weights[:, j] @ log_prob, parameters, retain_graph=j != live[-1], allow_unused=True
        )
        start = 0
        for gradient, parameter in zip(found, parameters, strict=True):
            if gradient is not None:
                total[j, start : start + parameter.numel()] += gradient.reshape(-1)
            start += parameter.numel()

"""The advantage that TRL makes of several rewards: its two aggregations, its scalings, and RLOO's.

`tests/plugins/trl/test_advantage.py` compares it with what TRL's own trainers train on. Audits need
it because their samples come in chunks, while some of TRL's statistics are over a whole batch.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.opinions import without_opinion

EPSILON = 1e-4
"""TRL adds it to every deviation that it divides by."""


class Rule(NamedTuple):
    """What a trainer does with rewards."""

    leave_one_out: bool
    """RLOO, else GRPO."""
    by_reward: bool
    """multi_objective_aggregation="normalize_then_sum" (GDPO)."""
    scaling: str
    """scale_rewards: group, batch or none."""
    clip: tuple[float, float] | None
    """RLOO's reward_clip_range."""
    whiten: bool
    """RLOO's normalize_advantages."""
    penalty: float
    """RLOO's beta: its KL penalty is part of the reward; GRPO's is part of the loss."""


def rule_of(trainer: Any) -> Rule:
    """Read it from a GRPOTrainer or RLOOTrainer."""
    rloo = not hasattr(trainer, "scale_rewards")
    return Rule(
        rloo,
        getattr(trainer, "multi_objective_aggregation", "") == "normalize_then_sum",
        "none" if rloo else str(trainer.scale_rewards),
        getattr(trainer, "reward_clip_range", None) if rloo else None,
        bool(getattr(trainer, "normalize_advantages", False)) if rloo else False,
        float(trainer.beta) if rloo else 0.0,
    )


def trl_advantage(
    rewards: Tensor, weights: Tensor, completions: int, rule: Rule, kl: Tensor | None = None
) -> Tensor:
    """Advantage of each completion: (N,) float64.

    A reward of None counts 0 in the sum; completions without any reward are left out of every
    baseline and have advantage 0.

    Args:
        rewards: (N, M), NaN where a reward function returned None; a prompt's completions adjoin.
        weights: (M,).
        completions: Of each prompt.
        rule: Of the trainer.
        kl: (N,) log π − log π_ref of each completion, for RLOO with a penalty.
    """
    given, weights = rewards.double(), weights.to(rewards.device).double()
    unscored = torch.isnan(given).all(1)
    if rule.by_reward:
        grouped = given.view(-1, completions, given.shape[1])
        scaled = (grouped - grouped.nanmean(1, keepdim=True)) / (_deviation(grouped, 1) + EPSILON)
        score = _weighted(scaled.view_as(given), weights, unscored)
        return _whitened(score).nan_to_num(0.0)
    score = _weighted(given, weights, unscored)
    return (
        _left_out(score, completions, rule, kl)
        if rule.leave_one_out
        else _centred(score, completions, rule)
    )


def _weighted(values: Tensor, weights: Tensor, unscored: Tensor) -> Tensor:
    return torch.where(unscored, torch.nan, (values * weights).nansum(1))


def _centred(score: Tensor, completions: int, rule: Rule) -> Tensor:
    grouped = score.view(-1, completions)
    found = grouped - grouped.nanmean(1, keepdim=True)
    if rule.scaling == "group":
        found = found / (_deviation(grouped, 1) + EPSILON)
    elif rule.scaling == "batch":
        found = found / (_deviation(score, 0) + EPSILON)
    return found.reshape(-1).nan_to_num(0.0)


def _left_out(score: Tensor, completions: int, rule: Rule, kl: Tensor | None) -> Tensor:
    if rule.clip:
        score = score.clamp(*rule.clip)
    if kl is not None:
        score = score - rule.penalty * kl.to(score)
    grouped = score.view(-1, completions)
    others = (~torch.isnan(grouped)).sum(1, keepdim=True) - 1
    found = (grouped - (grouped.nansum(1, keepdim=True) - grouped) / others).reshape(-1)
    if rule.whiten:
        found = _whitened(found)
    return found.nan_to_num(0.0)


def _whitened(values: Tensor) -> Tensor:
    return (values - values.nanmean()) / (_deviation(values, 0) + EPSILON)


def _deviation(values: Tensor, dim: int) -> Tensor:
    """Sample deviation (ddof 1) of what is not NaN; NaN for a single value."""
    count = (~torch.isnan(values)).sum(dim, keepdim=True)
    square = (values - values.nanmean(dim, keepdim=True)).square().nansum(dim, keepdim=True)
    return torch.where(count > 1, (square / (count - 1).clamp(min=1)).sqrt(), torch.nan)


def scored(rewards: Tensor, completions: int) -> Tensor:
    """Rewards (N, M) float64 without NaN (`without_opinion`); a prompt's completions adjoin."""
    prompt = torch.arange(len(rewards), device=rewards.device) // completions
    return without_opinion(rewards.double(), prompt)

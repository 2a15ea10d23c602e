"""T50: CISPO's W = clip(ρ)·A drops nothing; its law is the advantage's up to ε (a sharp bound)."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.clipped_law import centred_weight
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses.cispo import CISPO
from covlaw.theory.statements._support.inner_tilts import inner_tilt_derivative
from covlaw.theory.statements._support.rollout_rounding import ratio_size, weighted_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.updates import InnerStep

SLACK = 1e-9
"""By how much a covariance must exceed the bound before its sign is judged: ties would not do."""


def sides(step: InnerStep, rng: np.random.Generator) -> Sides:
    """Law of W against law of A in each prompt, signs beyond the bound, and the tilt's law."""
    loss = cut(step, rng)
    parts = [_margin(step, loss, max(loss.clip_low, loss.clip_high)), _signs(step, loss)]
    if step.rollouts.mass is not None:
        parts.append(_tilt(step, loss))
    return joined(parts)


def narrower(step: InnerStep, rng: np.random.Generator) -> Sides:
    """The false variant: the narrower of the two ranges as ε."""
    loss = cut(step, rng)
    return joined([_margin(step, loss, min(loss.clip_low, loss.clip_high))])


def cut(step: InnerStep, rng: np.random.Generator) -> CISPO:
    """Draw ranges on the scale of the step's own ratios, so that some are cut."""
    moved = step.log_ratio.exp() - 1
    low, high = (float(side.max().clamp(min=0)) * rng.uniform(0, 1.2) for side in (-moved, moved))
    return CISPO(min(low, 1.0), high)


def _margin(step: InnerStep, loss: CISPO, epsilon: float) -> Part:
    """|Cov_old(r, W) − Cov_old(r, A)| ≤ ε·sd(r)·√E A², the rewards' and the worst reward's."""
    rewards, weight = _with_worst_reward(step, loss)
    law, cut_law = (
        within_prompt_covariance(rewards, signal, *step.rollouts.groups).per_prompt
        for signal in (step.advantage, weight)
    )
    bound, error = _bound(step, loss, rewards, epsilon)
    return (cut_law - law).abs().reshape(-1), bound.reshape(-1), error.reshape(-1)


def _signs(step: InnerStep, loss: CISPO) -> Part:
    """As a bound: where |Cov_old(r, A)| exceeds ε·sd(r)·√E A², W on the wrong side measures > 0."""
    rewards, weight = _with_worst_reward(step, loss)
    law, cut_law = (
        within_prompt_covariance(rewards, signal, *step.rollouts.groups).per_prompt
        for signal in (step.advantage, weight)
    )
    bound, error = _bound(step, loss, rewards, max(loss.clip_low, loss.clip_high))
    decided = law.abs() > bound * (1 + SLACK) + error
    wrong = (-cut_law * law.sign())[decided]
    return wrong, torch.zeros_like(wrong), error[decided]


def _tilt(step: InnerStep, loss: CISPO) -> Part:
    """|derivative − (Cov_old(r, W) − centring term)| ≤ 0 along A·clip(ρ)/ρ, by enumeration."""
    ratio = np.exp(step.log_ratio.numpy())
    held = np.clip(ratio, 1 - loss.clip_low, 1 + loss.clip_high)
    derivative = inner_tilt_derivative(step, step.advantage.numpy() * held / ratio)
    rollouts, groups = step.rollouts, group_by_prompt(step.rollouts.prompt)
    weight = loss.weight(step.advantage, step.log_ratio)
    signal = centred_weight(weight, step.log_ratio.exp(), groups, rollouts.mass)
    law = within_prompt_covariance(rollouts.rewards, signal, *rollouts.groups).estimate
    size = step.advantage.abs().max() * (1 + loss.clip_high)
    error = weighted_rounding(rollouts, size * ratio_size(rollouts, step.log_ratio), 16)
    return (derivative - law).abs(), torch.zeros_like(law), error


def _with_worst_reward(step: InnerStep, loss: CISPO) -> tuple[Tensor, Tensor]:
    """The rewards with one more, W − A, which the bound is sharp for; and W."""
    weight = loss.weight(step.advantage, step.log_ratio)
    worst = (weight - step.advantage)[:, None]
    return torch.cat([step.rollouts.rewards, worst], 1), weight


def _bound(step: InnerStep, loss: CISPO, rewards: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """ε·sd(r)·√E A² of each prompt and objective, and what rounding adds: (P, M) each."""
    groups = group_by_prompt(step.rollouts.prompt)
    counts = groups.counts.to(torch.float64)[:, None]
    share = groups.share(step.rollouts.mass)
    sampled = step.rollouts.mass is None
    inflation = counts / (counts - 1) if sampled else torch.ones_like(counts)
    spread = groups.sum(share[:, None] * groups.centre(rewards, share).square()).sqrt()
    size = groups.sum(share * step.advantage.square()).sqrt()[:, None]
    widest = rewards.abs().amax(0) * step.advantage.abs().max() * (2 + loss.clip_high)
    error = rounding(2 * inflation * widest, 4 * len(rewards) + 32)
    return epsilon * inflation * spread * size, error


STATEMENT = Statement(
    id="T50",
    title="CISPO drops no completion, and its law is the advantage's up to ε",
    kind="bound",
    explanation="CISPO weighs a completion's log-probability by the clipped ratio times the "
    "advantage. PPO's clip gives weight 0 to whatever has moved far enough, so that its law can "
    "turn round; this weight keeps the advantage's sign on every completion. The covariance of a "
    "reward with it differs from that with the advantage by at most ε times the standard "
    "deviations of both: where the correlation of a reward with the advantage exceeds ε, clipping "
    "cannot turn its sign. A wide upper range, such as the usual ρ ≤ 5, promises nothing by this "
    "bound. As in T25, an objective's true rate of change has a centring term as well.",
    formula="W = clip(ρ)·A: |Cov_old(r_j, W) − Cov_old(r_j, A)| ≤ max(ε_low, ε_high)·sd(r_j)·sd(A);"
    " tilt along A·clip(ρ)/ρ: dJ_j/dη = Cov_old(r_j, W) − (E_θ r_j − E_old r_j)·E_old W",
    latex=r"W=\mathrm{clip}(\rho)A:\quad|\mathrm{Cov}_{\mathrm{old}}(r_j,W)-\mathrm{Cov}_"
    r"{\mathrm{old}}(r_j,A)|\le\max(\varepsilon_-,\varepsilon_+)\,\mathrm{sd}(r_j)\,\mathrm{sd}(A)",
    assumptions=(
        "sequence-level ratio; the range lies about 1",
        "prompt by prompt; an A that is not centred in its prompt: √E A² in place of sd(A)",
        "the rate of change: the step is the tilt of π_θ along A·clip(ρ)/ρ",
    ),
    source="ours; the loss: MiniMax 2025, arXiv:2506.13585",
    needs=InnerStep,
    sides=sides,
    control=NegativeControl("the narrower of the two ranges as ε", narrower),
)

"""Losses for rewards: what loss-balancing scalarizers get in reinforcement learning."""

from collections.abc import Mapping

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.budget import deviation
from covlaw.theory.estimators.covariance import within_prompt_covariance

REMEDY = "set reward_worst and reward_best to their range"


def shortfall(
    rewards: Tensor,
    ratio: Tensor,
    prompt: Tensor,
    bounds: Mapping[str, tuple[float, float]],
    remedy: str = REMEDY,
) -> Tensor:
    """L_j = (N·E_x E_{π_new}[best_j − r_j] + ½(best_j − worst_j))/(N + 1): (M,), > 0.

    GradNorm (Chen et al. 2018) and FAMO (Liu et al. 2023) were made for losses that are positive
    and fall to 0; they use L_j(t)/L_j(0) and log L_j. The shortfall is such a loss of a reward, in
    its unit, with gradient −∇J_j. Under π_new it is read off samples of π_old with ratios that sum
    to 1 within each prompt. The half completion (Krichevsky and Trofimov 1981) keeps the loss
    positive where every sample is perfect: N samples show no shortfall below about 1/N.

    Args:
        rewards: (N, M) float64 of π_old's samples.
        ratio: (N,) π_new/π_old.
        prompt: (N,) prompt ids.
        bounds: (worst, best) of each objective, by name.
        remedy: What a message says of where bounds are set.

    Raises:
        CovlawError: for a reward outside its bounds.
    """
    worst, best = torch.tensor(list(bounds.values()), dtype=torch.float64).unbind(1)
    for name, seen, low, high in zip(bounds, rewards.unbind(1), worst, best, strict=True):
        if seen.min() < low or seen.max() > high:
            raise CovlawError(
                f"rewards of {name!r} run from {seen.min():g} to {seen.max():g}, outside "
                f"[{low:g}, {high:g}], from which this scalarizer's losses are measured: {remedy}"
            )
    groups, rows = group_by_prompt(prompt), rewards.shape[0]
    share = groups.share(ratio.to(torch.float64)) / groups.prompts.shape[0]
    return (rows * (share @ (best - rewards)) + (best - worst) / 2) / (rows + 1)


def policy_gradient_losses(rewards: Tensor, ratio: Tensor, prompt: Tensor) -> Tensor:
    """−Cov(r_j, ρ)/sd(r_j): the loss of the standardised advantage, (M,); 0 where sd is 0.

    It is near 0 and of either sign, which is what GradNorm's reference implementation divides and
    raises to a power.

    Args:
        rewards: (N, M) float64 of π_old's samples.
        ratio: (N,) π_new/π_old.
        prompt: (N,) prompt ids.
    """
    change = within_prompt_covariance(rewards, ratio, prompt).estimate
    spread = deviation(rewards, prompt)
    # centring a constant reward leaves some roundings of its size
    varies = spread > rounding(rewards.abs().amax(0), 4 * rewards.shape[0])
    return torch.where(varies, -change / torch.where(varies, spread, 1.0), 0.0)

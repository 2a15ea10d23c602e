"""Rewards whose within-prompt correlations are planted exactly."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def planted_rewards(
    rng: np.random.Generator, mass: Tensor, objectives: int, conflict: float
) -> Tensor:
    """Random rewards that conflict by a given amount in every prompt: (P·K, M), prompt by prompt.

    Under `mass`, in every prompt, each reward has variance 1 and every two of them correlate by
    −conflict/(M−1). At 0 they are uncorrelated; at 1 they add up to a constant, so that no step
    raises all of them to first order (T30). The prompt's mean rewards are drawn from N(0, 1): a
    covariance that is not centred within prompts reads them too.

    Args:
        rng: Draws the rewards.
        mass: (P, K) completion probabilities of the policy in each prompt, all positive.
        objectives: M ≥ 1, fewer than K.
        conflict: In [0, 1]; 0 for a single objective.

    Raises:
        CovlawError: on a conflict outside [0, 1], or too few completions for M free rewards.
    """
    if not 0 <= conflict <= 1:
        raise CovlawError(f"conflict is {conflict}: use a value in [0, 1]")
    if objectives < 1 or (objectives == 1 and conflict > 0):
        raise CovlawError(f"{objectives} objectives with conflict {conflict}: conflict needs two")
    prompts, completions = mass.shape
    if completions <= objectives:
        raise CovlawError(
            f"{completions} completions a prompt for {objectives} objectives: their correlations "
            "can be planted only with more completions than objectives"
        )
    draw = torch.as_tensor(rng.normal(size=(prompts, completions, objectives)))
    free = _orthonormal(draw, mass) @ _correlation_root(objectives, conflict)
    level = torch.as_tensor(rng.normal(size=(prompts, 1, objectives)))
    return (level + free).flatten(0, 1)


def _orthonormal(values: Tensor, mass: Tensor) -> Tensor:
    """Make the columns (P, K, M) centred and orthonormal under `mass`, prompt by prompt."""
    centred = values - (mass[:, None] @ values)
    root = mass.sqrt()[:, :, None]
    basis: Tensor = torch.linalg.qr(root * centred)[0]
    return basis / root


def _correlation_root(objectives: int, conflict: float) -> Tensor:
    """Symmetric square root of the correlation matrix: eigenvalues 1−κ (once), 1+κ/(M−1)."""
    common = torch.full((objectives, objectives), 1 / objectives, dtype=torch.float64)
    apart = torch.eye(objectives, dtype=torch.float64) - common
    rise = conflict / (objectives - 1) if objectives > 1 else 0.0
    root: Tensor = (1 + rise) ** 0.5 * apart + (1 - conflict) ** 0.5 * common
    return root

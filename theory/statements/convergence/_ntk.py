"""The centred neural tangent kernel: how much of a logit gradient reaches the parameters (T47).

With logits z = f_θ and K = (∂z/∂θ)(∂z/∂θ)', |∇_θJ|² = (∇_zJ)'K(∇_zJ). Since ∇_zJ sums to 0 within
each prompt, only P_c K P_c counts, P_c the subtraction of each prompt's plain mean.

No explicit logits are needed: log π = z − log Σe^z, so that ∂log π/∂θ and ∂z/∂θ differ by one row
a prompt, the policy mean of ∂z/∂θ. K itself differs for the two; P_c ∂z/∂θ = P_c ∂log π/∂θ exactly.
"""

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.worlds.world import World


def centred_scores(world: World) -> Tensor:
    """P_c·∂z/∂θ, a row a completion: (N, D); for worlds small enough for dense Jacobians."""
    groups = group_by_prompt(world.prompt)
    return groups.centre(world.scores(), groups.share(None))


def centred_ntk(world: World) -> Tensor:
    """P_c K P_c: (N, N), without any weighting by π or D."""
    scores = centred_scores(world)
    return scores @ scores.T


def centred_ntk_floor(world: World) -> float:
    """λ_{P+1}(P_c K P_c), P prompts, eigenvalues ascending: the least on range P_c (T47).

    |∇_θJ|² ≥ λ_{P+1}·|∇_zJ|² for every J, so that a PL constant μ_z in the logits becomes
    λ_{P+1}·μ_z in the parameters, at this θ. The first P eigenvalues are 0. It is 0 wherever
    D < N − P: fewer parameters than free logits; inf where no prompt has a choice (N = P). Taken
    from singular values of the Jacobian: squaring them into K first would lose half of the digits.
    """
    rows, prompts = len(world.prompt), len(group_by_prompt(world.prompt).counts)
    directions = rows - prompts
    if directions == 0:
        return torch.inf
    if world.theta.shape[0] < directions:
        return 0.0
    return float(torch.linalg.svdvals(centred_scores(world))[directions - 1] ** 2)

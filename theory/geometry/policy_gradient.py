"""Plain policy gradients of enumerated worlds, aligned through the kernel of the scores (T11)."""

import torch
from torch import Tensor
from torch.func import vjp

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.worlds.world import World


def value_gradients(world: World, columns: Tensor) -> Tensor:
    """∇_θ Σ_x D(x) Σ_y π_θ(y|x) f(y) of each column of `columns` (N, M): (M, D), by autograd."""

    def values(theta: Tensor) -> Tensor:
        return world.row_weight(world.log_prob(theta).exp()) @ columns

    pullback = vjp(values, world.theta)[1]
    return torch.stack([pullback(unit)[0] for unit in torch.eye(columns.shape[1]).to(columns)])


def kernel_form(world: World, score: Tensor) -> Tensor:
    """E[A_j K A_s] without forming K: E[A_j ⟨∇log π, G_s⟩], G_s = E[A_s ∇log π]: (M,)."""
    weight = world.row_weight()
    alignment = world.directional(world.score_sum(weight * centred_score(world, score)))
    return (weight * alignment) @ advantages(world)


def advantages(world: World) -> Tensor:
    """A_j = r_j − E_x r_j of every completion: (N, M)."""
    return group_by_prompt(world.prompt).centre(world.rewards, world.log_prob_at().exp())


def centred_score(world: World, score: Tensor) -> Tensor:
    """A_s = s − E_{π(.|x)} s: (N,)."""
    prompts, index = torch.unique(world.prompt, return_inverse=True)
    mass = world.log_prob_at().exp()
    mean = score.new_zeros(prompts.shape[0]).index_add(0, index, mass * score)
    return score - mean[index]

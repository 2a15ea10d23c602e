"""T47: the smallest eigenvalue of the centred tangent kernel says how much gradient survives.

|∇_θJ|² ≥ λ_{P+1}(P_c K P_c)·|∇_zJ|², P prompts, eigenvalues ascending: the first P are 0.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import advantages, value_gradients
from covlaw.theory.statements._support.gradient_rounding import (
    gradient_roundings,
    is_dense,
    largest_score_norm,
)
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements.base import NOTHING, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.world import World


def sides(world: World, _: np.random.Generator) -> Sides:
    """λ|∇_zJ|² against |∇_θJ|² by autograd: each objective, and the reward that attains it."""
    floor = centred_ntk_floor(world) if is_dense(world) else np.inf
    if not np.isfinite(floor):
        return joined([NOTHING])
    weakest = [_adversary(world, floor)] if floor > 0 else []
    return joined([_objectives(world, floor), *weakest])


def larger_sides(world: World, _: np.random.Generator) -> Sides:
    """The false variant: a floor 1 % above λ_{P+1}, which the weakest reward attains."""
    floor = centred_ntk_floor(world) if is_dense(world) else np.inf
    if not 0 < floor < np.inf:
        return joined([NOTHING])
    return joined([_adversary(world, 1.01 * floor)])


def _objectives(world: World, floor: float) -> Part:
    logit = world.row_weight()[:, None] * advantages(world)
    gradient = value_gradients(world, world.rewards).square().sum(1)
    squares = logit.square().sum(0)
    scale = world.row_weight() @ world.rewards.abs()
    return floor * squares, gradient, _error(world, floor, squares, gradient, scale)


def _adversary(world: World, floor: float) -> Part:
    """The reward v/(D·π), v the last left singular vector on range P_c, has ∇_zJ = v."""
    left = torch.linalg.svd(centred_scores(world), full_matrices=False)[0]
    groups = group_by_prompt(world.prompt)
    last = len(world.prompt) - len(groups.counts) - 1
    weakest = groups.centre(left[:, last], groups.share(None))
    gradient, square = world.score_sum(weakest).square().sum(), weakest.square().sum()
    error = _error(world, floor, square, gradient, weakest.abs().sum())
    return (floor * square)[None], gradient[None], error[None]


def _error(world: World, floor: float, squares: Tensor, gradient: Tensor, scale: Tensor) -> Tensor:
    """Rounding of σ² (each score errs by γ·|∇log π|, N of them), and of |Σ weight·∇log π|²."""
    norm = largest_score_norm(world)
    sigma = rounding(norm * len(world.prompt) ** 0.5, gradient_roundings(world))
    theta = rounding(norm * scale, gradient_roundings(world))
    blurred = 2 * floor**0.5 * sigma + sigma.square()
    error: Tensor = blurred * squares + 2 * gradient.sqrt() * theta + theta.square()
    return error


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


STATEMENT = Statement(
    id="T47",
    title="The centred tangent kernel's smallest eigenvalue floors the parameter gradient",
    kind="bound",
    formula="|∇_θJ|² ≥ λ_{P+1}(P_c K P_c) |∇_zJ|², K = (∂z/∂θ)(∂z/∂θ)', P prompts: a PL constant"
    " μ_z in the logits becomes λ_{P+1} μ_z; λ_{P+1} ≥ λ_min(K)",
    latex=r"|\nabla_\theta J|^2 \ge \lambda_{P+1}(P_cKP_c)\,|\nabla_z J|^2,\qquad "
    r"P_c=\mathrm{blockdiag}_x(I-\tfrac1{n_x}\mathbf 1\mathbf 1^\top)",
    assumptions=(
        "π_θ(.|x) = softmax of logits z_x(θ), differentiable; local in θ",
        "eigenvalues ascending with multiplicity: the first P are 0",
        "K without weights; any logits of the policy, e.g. z = log π",
        "compared where at most 600 completions fit a dense Jacobian",
    ),
    source="ours (centring); uncentred form known (PL from the tangent kernel: Liu, Zhu & Belkin"
    " 2022)",
    needs=World,
    sides=sides,
    control=NegativeControl("a floor 1 % higher", larger_sides),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    explanation="A network turns parameters θ into logits z, and an objective's gradient reaches θ"
    " only through that map. Its tangent kernel K compares the two: along an eigenvector with a"
    " small eigenvalue a clear wish in the logits becomes a faint one in the parameters. Since the"
    " wish never asks to raise all logits of a prompt together, one may first remove each prompt's"
    " mean from K; the smallest remaining eigenvalue then multiplies the pace of convergence. It is"
    " 0 where the network has fewer parameters than the policy has free logits.",
)

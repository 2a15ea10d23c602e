"""Gradients of the real losses on an enumerated tree, and the natural step they amount to."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vjp, vmap

from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.losses.protocol import PolicyLoss
from covlaw.theory.statements._support.token_enumeration import token_rounding
from covlaw.theory.worlds.token_law import token_values
from covlaw.theory.worlds.token_tree import TokenTree

NO_CLIP: Clip = (1.0, float("inf"), None)
SUMMED, AVERAGED = PPO(*NO_CLIP, "sequence_sum"), PPO(*NO_CLIP, "sequence_mean")
"""PPO's loss without a range, summed over a completion's tokens, and divided by their number."""


def loss_ascent(
    tree: TokenTree, advantage: Tensor, loss: PolicyLoss, theta: Tensor | None = None
) -> Tensor:
    """−∇_θ of the expected loss by autograd: (D,).

    The tree's policy is π_old; `theta` (D,) is where the gradient is taken. A mean over the N
    listed completions is an expectation once each advantage carries N·D(x)·π(y|x), which keeps its
    sign; that takes an aggregation which is a mean over completions.
    """
    weighted = tree.world.row_weight() * len(advantage) * advantage

    def objective(log_ratio: Tensor) -> Tensor:
        return -loss.loss(weighted, log_ratio, tree.mask)

    return _gradient(tree, objective, theta)


def pair_loss_ascent(tree: TokenTree, advantage: Tensor) -> Tensor:
    """−∇_θ of the expected `token_mean` loss of a batch of two completions: (D,).

    The expectation is over all N² batches, each weighted by its probability.
    """
    weight = tree.world.row_weight()
    rows = torch.cartesian_prod(torch.arange(len(weight)), torch.arange(len(weight)))
    chance = weight[rows].prod(1)

    def batch(advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        return -PPO(*NO_CLIP, "token_mean").loss(advantage, log_ratio, mask)

    def objective(log_ratio: Tensor) -> Tensor:
        return chance @ vmap(batch)(advantage[rows], log_ratio[rows], tree.mask[rows])

    return _gradient(tree, objective, None)


def natural_slope(tree: TokenTree, ascent: Tensor, theta: Tensor | None = None) -> Tensor:
    """⟨∇J_j, F⁺g⟩ at θ for a gradient g (D,), one free logit a choice: (M,).

    F is d(h)(diag π − ππ′) in each context and g sums to 0 there, so that F⁺g = g/(d(h)·π(a|h)) up
    to a constant a context. ∇J_j is autograd's.
    """
    at = tree if theta is None else tree.at(theta)
    taken = token_values(at, at.world.rewards).taken
    direction = torch.where(taken > 0, ascent / taken, 0.0)
    return value_gradients(at.world, at.world.rewards) @ direction


def natural_slope_rounding(tree: TokenTree, signal: Tensor) -> Tensor:
    """Bound the rounding of `natural_slope`: (M,), signal = max |A| of the loss.

    An entry of either gradient errs relative to d(h)·π(a|h), which the division takes out again: at
    most Σ_h d(h)·(choices of h) ≤ T·V such errors.
    """
    choices = float(torch.bincount(tree.context).max())
    return 2 * choices * token_rounding(tree, tree.world.rewards, signal)


def _gradient(
    tree: TokenTree, objective: Callable[[Tensor], Tensor], theta: Tensor | None
) -> Tensor:
    old = tree.log_policy()

    def value(theta: Tensor) -> Tensor:
        return objective(tree.along(tree.token_log_prob(theta) - old))

    gradient: Tensor = vjp(value, tree.world.theta if theta is None else theta)[1](
        torch.ones((), dtype=torch.float64)
    )[0]
    return gradient

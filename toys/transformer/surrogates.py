"""An exact update of the transformer by any policy loss: several inner steps, and their chain."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import vjp

from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses import PolicyLoss
from covlaw.theory.statements._support.token_losses import loss_ascent
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import Update
from covlaw.toys.transformer.updates import MakeOptimiser, ModuleOptimiser
from covlaw.toys.transformer.worlds import TransformerWorld


def surrogate_ascent(
    tree: TokenTree, advantage: Tensor, loss: PolicyLoss, optimiser: ModuleOptimiser
) -> Iterator[Tensor]:
    """Yield θ (D,) after each inner step on a policy's expected loss, without end.

    π_old is the tree's policy; the gradient is autograd's, through loss and model. The expectation
    takes a loss that is a mean over completions, so no `token_mean`.
    """
    while True:
        optimiser = optimiser.advance(loss_ascent(tree, advantage, loss, optimiser.theta))
        yield optimiser.theta


def weighted_ascent(tree: TokenTree, advantage: Tensor, loss: PolicyLoss, theta: Tensor) -> Tensor:
    """E_old[Σ_t w_t ∇log π_θ(y_t|h_t)] with the loss's own token weights w: (D,) (T24)."""
    log_ratio = tree.along(tree.log_policy(theta) - tree.log_policy())
    weight = loss.token_weight(advantage, log_ratio, tree.mask)
    weight = tree.world.row_weight()[:, None] * weight

    def value(theta: Tensor) -> Tensor:
        return (weight * tree.along(tree.token_log_prob(theta))).sum()

    gradient: Tensor = vjp(value, theta)[1](torch.ones((), dtype=torch.float64))[0]
    return gradient


def surrogate_update(
    start: TransformerWorld,
    score: Tensor,
    loss: PolicyLoss,
    make: MakeOptimiser,
    rate: float,
    inner: int = 3,
) -> Update:
    """Train by `inner` exact steps on a loss, and return the update with its chain (T9).

    s is what the advantage acts as under this loss on policy; the clipped gradient is made of the
    loss's W at each iterate, the batch's is autograd's of the loss: the sampling gap is rounding.

    Args:
        start: The policy that samples, π_old.
        score: (N,) the score, centred here.
        loss: A mean over completions.
        make: The optimiser.
        rate: η of the chain.
        inner: Steps on the same advantages.
    """
    tree, world = start.tokens, start.world
    advantage = centred_score(world, score)
    iterates = [world.theta]
    ascent = surrogate_ascent(
        tree, advantage, loss, ModuleOptimiser(start.model, make, world.theta)
    )
    for _ in range(inner):
        iterates.append(next(ascent))
    *visited, last = iterates
    own = torch.stack([loss_ascent(tree, advantage, loss, theta) for theta in visited]).sum(0)
    weighted = [weighted_ascent(tree, advantage, loss, theta) for theta in visited]
    signal = loss.score(advantage, tree.lengths)
    if signal is None:
        raise TypeError("one advantage a completion has a score")
    new, step = world.log_prob_at(last), last - world.theta
    fields = ScoreFields(
        signal,
        rate * inner * world.directional(weighted[0]),
        rate * world.directional(torch.stack(weighted).sum(0)),
        rate * world.directional(own),
        world.directional(step),
        new - world.log_prob_at(),
    )
    change = (world.row_weight(new.exp()) - world.row_weight()) @ world.rewards
    name = type(loss).__name__
    return Update(
        f"{world.label}, {name}", world.rollouts(), fields, change, torch.zeros_like(change)
    )

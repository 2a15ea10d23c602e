"""Every policy loss trains the enumerated transformer, and what its step is made of adds up."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.budget import law_budget
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses import LOSSES, PolicyLoss, make_loss
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.token_losses import loss_ascent
from covlaw.theory.worlds.updates import Update
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.surrogates import surrogate_update, weighted_ascent
from covlaw.toys.transformer.updates import adamw, sgd
from covlaw.toys.transformer.worlds import TransformerWorld, transformer_world

UPDATES = [id for id, s in STATEMENTS.items() if s.needs is Update]


def made() -> TransformerWorld:
    prompts = torch.tensor([[0, 1], [2, 1]])
    return transformer_world(ModelShape(4, layers=2), 3, prompts, seed=3)


def loss_of(name: str) -> PolicyLoss:
    """With its own range; a mean over completions, as an expectation needs."""
    own = make_loss(name)
    kept = own.aggregation if own.aggregation == "sequence_mean" else "sequence_sum"
    return make_loss(name, aggregation=kept)


def trained(name: str) -> tuple[Update, PolicyLoss]:
    start, loss = made(), loss_of(name)
    score = random_score(start.world, np.random.default_rng(0))
    with sdpa_kernel(SDPBackend.MATH):
        return surrogate_update(start, score, loss, adamw(3e-2), 3e-2), loss


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_an_updates_identities_hold_to_rounding(name: str) -> None:
    update, _ = trained(name)
    rollouts, fields = update.rollouts, update.fields
    budget = law_budget(rollouts.rewards, fields, *rollouts.groups)
    total = torch.stack(list(budget.terms.values())).sum(0)
    size = rollouts.rewards.abs().max() * sum(float(f.abs().max()) + 1 for f in fields)
    error = rounding(size, 64 * len(rollouts.prompt))
    assert ((total - update.change).abs() <= error).all()
    assert ((budget.realised - update.change).abs() <= error).all()
    # the batch is the expectation: what is left between W's gradient and autograd's is rounding
    slope = float(fields.clipped_gradient.abs().max()) + 1
    depth = 2**14  # roundings along a gradient of some 1300 parameters and a forward pass
    assert (budget.terms["sampling"].abs() <= rounding(size * slope, depth)).all()
    assert float(update.change.abs().max()) > 1e-3
    for id in UPDATES:
        assert check_on(STATEMENTS[id], [update], "transformer").violations == 0, id


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_w_is_what_autograd_weighs_tokens_with(name: str) -> None:
    """At π_old and after a step that clips: −∇loss = E_old[Σ_t w_t ∇log π_θ(y_t|h_t)]."""
    start, loss = made(), loss_of(name)
    rng = np.random.default_rng(1)
    advantage = centred_score(start.world, random_score(start.world, rng))
    theta = start.world.theta + 0.05 * torch.as_tensor(rng.normal(size=len(start.world.theta)))
    with sdpa_kernel(SDPBackend.MATH):
        for at in (start.world.theta, theta):
            both = gradients(start, advantage, loss, at)
            gap, size = (both[0] - both[1]).abs().max(), both[0].abs().max() + advantage.abs().max()
            assert gap <= rounding(size, 2**14)


def gradients(
    start: TransformerWorld, advantage: Tensor, loss: PolicyLoss, at: Tensor
) -> tuple[Tensor, Tensor]:
    tree = start.tokens
    return loss_ascent(tree, advantage, loss, at), weighted_ascent(tree, advantage, loss, at)


def test_another_losss_weight_leaves_a_gap() -> None:
    """GSPO's gradient is not that of PPO's W: the identity above can fail."""
    start, loss = made(), loss_of("gspo")
    advantage = centred_score(start.world, random_score(start.world, np.random.default_rng(1)))
    with sdpa_kernel(SDPBackend.MATH):
        own = loss_ascent(start.tokens, advantage, loss, start.world.theta)
        other = weighted_ascent(start.tokens, advantage, PPO(), start.world.theta)
    assert float((own - other).abs().max()) > 1e-3


def test_losses_that_clip_differently_end_elsewhere() -> None:
    """After three large steps each loss has gone its own way, and none stood still."""
    start = made()
    score = random_score(start.world, np.random.default_rng(0))
    ends = {}
    with sdpa_kernel(SDPBackend.MATH):
        for name in ("ppo", "cispo", "gspo"):
            update = surrogate_update(start, score, loss_of(name), sgd(3.0), 3.0)
            ends[name] = update.fields.log_ratio
    assert all(float(end.abs().max()) > 0.01 for end in ends.values())
    assert float((ends["ppo"] - ends["cispo"]).abs().max()) > 1e-3
    assert float((ends["ppo"] - ends["gspo"]).abs().max()) > 1e-3

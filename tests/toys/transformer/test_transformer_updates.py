"""Real optimisers: u is what they do to the module; law budgets of their steps add up."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.budget import law_budget
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses import effective_weight
from covlaw.theory.worlds.updates import UpdateRecipe, exact_update
from covlaw.toys.transformer.float64_model import Float64, ModelShape, build_model
from covlaw.toys.transformer.updates import (
    MakeOptimiser,
    ModuleOptimiser,
    adamw,
    clipped_ascent,
    sgd,
    warmed_up,
)
from covlaw.toys.transformer.worlds import TransformerWorld, transformer_world

SHAPE = ModelShape(4, layers=2)
OPTIMISERS: dict[str, MakeOptimiser] = {
    "SGD": sgd(0.5),
    "AdamW": adamw(1e-2),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
}


def made() -> TransformerWorld:
    return transformer_world(SHAPE, 3, torch.tensor([[0, 1], [2, 1]]), seed=3)


def by_hand(make: MakeOptimiser, gradients: list[Tensor]) -> list[Tensor]:
    """θ after each step of an ordinary training loop on another copy of the same module."""
    module, visited = build_model(SHAPE, 3).module, []
    parameters = list(module.parameters())
    optimiser = make(parameters)
    for gradient in gradients:
        sizes = [p.numel() for p in parameters]
        for parameter, piece in zip(parameters, (-gradient).split(sizes), strict=True):
            parameter.grad = piece.reshape(parameter.shape).clone()
        optimiser.step()
        visited.append(nn.utils.parameters_to_vector(parameters).detach().clone())
    return visited


@pytest.mark.parametrize("name", OPTIMISERS)
def test_u_is_the_change_that_the_optimiser_makes(name: str) -> None:
    make, start = OPTIMISERS[name], made()
    generator = torch.Generator().manual_seed(0)
    shape = (4, *start.world.theta.shape)
    gradients = list(torch.randn(shape, generator=generator, dtype=torch.float64))
    optimiser, theta = ModuleOptimiser(start.model, make, start.world.theta), start.world.theta
    for gradient, after in zip(gradients, by_hand(make, gradients), strict=True):
        assert optimiser(gradient).equal(optimiser(gradient))  # a step leaves no trace
        assert optimiser(gradient).equal(after - theta)
        optimiser, theta = optimiser.advance(gradient), after
        assert optimiser.theta.equal(theta)


def test_momentum_and_weight_decay_are_in_u() -> None:
    start = made()
    zero = torch.zeros_like(start.world.theta)
    fresh = ModuleOptimiser(start.model, adamw(1e-2), start.world.theta)
    assert not bool((fresh(zero)).equal(zero))  # decay alone
    warm = fresh.advance(torch.ones_like(zero))
    assert not warm(zero).equal(-1e-2 * 1e-2 * warm.theta)  # momentum of the earlier step too


def test_the_gradient_is_that_of_an_ordinary_backward_pass() -> None:
    start = made()
    world, tree, module = start.world, start.tree, start.model.module
    weight = world.row_weight() * centred_score(world, world.rewards[:, 0])
    rows = torch.cat([torch.cat([p.expand(9, 2), tree.prefixes], 1) for p in start.prompts])
    with Float64(), sdpa_kernel(SDPBackend.MATH):
        next_token = module(rows, use_cache=False).logits[:, 1:].log_softmax(-1)
    (weight @ tree.log_prob(next_token.unflatten(0, (2, 9))).flatten()).backward()
    backward = nn.utils.parameters_to_vector([p.grad for p in module.parameters()])
    ours = world.score_sum(weight)
    size = weight.abs().sum() + ours.abs()
    assert bool(((backward - ours).abs() <= rounding(size, 2 * world.depth)).all())


def test_clipped_ascent_follows_the_effective_weight() -> None:
    start = made()
    world, clip = start.world, (0.1, 0.15, 2.0)
    advantage = centred_score(world, world.rewards @ torch.tensor([0.5, 0.5, 0.0]).double())
    optimiser = ModuleOptimiser(start.model, sgd(1.0), world.theta)
    first, second, third = islice(clipped_ascent(world, advantage, clip, optimiser), 3)
    for before, after in ((first, second), (second, third)):
        log_ratio = world.log_prob_at(before) - world.log_prob_at()
        weight = effective_weight(advantage, log_ratio, None, *clip)
        assert bool(((weight == 0) & (advantage != 0)).any())  # something is clipped
        ascent = world.score_sum(world.row_weight() * weight, before)
        size = before.abs() + (world.row_weight() * weight).abs().sum()
        assert bool((after - before - ascent).abs().le(rounding(size, 2 * world.depth)).all())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_budget_of_a_real_step_adds_up(name: str) -> None:
    start = made()
    score = start.world.rewards.mean(1)
    now, optimiser = warmed_up(start, score, OPTIMISERS[name], steps=2, drift=0.1)
    recipe = UpdateRecipe(name, optimiser, 0.1, start.world.theta, completions=16)
    update = exact_update(now.world, score, recipe, np.random.default_rng(0))
    budget = law_budget(update.rollouts.rewards, update.fields, *update.rollouts.groups)
    size = sum(f.abs() for f in update.fields) + update.fields.log_ratio.exp() + 1
    scale = 2 * now.world.row_weight() @ (size[:, None] * update.rollouts.rewards.abs())
    operations = 4 * len(score) + now.world.depth
    total = sum(budget.terms.values())
    assert bool(((total - update.change).abs() <= rounding(scale, operations)).all())
    assert bool((budget.optimiser.abs() > rounding(scale, operations)).any())


def test_warming_up_drifts_by_what_was_asked() -> None:
    start = made()
    score = start.world.rewards.mean(1)
    after, optimiser = warmed_up(start, score, adamw(1e-3), steps=1, drift=1e-6)
    log_ratio = after.world.log_prob_at() - start.world.log_prob_at()
    variance = start.world.row_weight() @ log_ratio.square()
    assert float(variance.sqrt()) == pytest.approx(1e-6, rel=1e-3)  # first order: 1 + O(drift)
    assert optimiser.state is not None
    assert optimiser.theta.equal(after.world.theta)

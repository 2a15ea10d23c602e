"""T15–T17: the covariance law token by token, by enumeration."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.random_instances import nearby, random_score
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.token_law import (
    TokenValues,
    centred_in_context,
    tilted_log_policy,
    token_change,
    token_covariance,
    token_gradient_alignment,
    token_values,
)
from covlaw.toys.softmax_steps import policy_gradient
from covlaw.toys.tabular import TabularWorld, draw_tabular

SEEDS = range(8)
STEP = 1e-100


def drawn(seed: int) -> tuple[TabularWorld, Tensor, np.random.Generator]:
    rng = np.random.default_rng(seed)
    tabular = draw_tabular(rng)
    return tabular, random_score(tabular.world, rng), rng


def values_of(tabular: TabularWorld, quantities: Tensor | None = None) -> TokenValues:
    """Of the rewards, or of (N, n) quantities."""
    return token_values(tabular.tokens, tabular.world.rewards if quantities is None else quantities)


def error(tabular: TabularWorld, *sizes: Tensor) -> Tensor:
    """Rounding (M,) of sums over all completions of products of rewards and such sizes.

    A conditional expectation divides two sums of the same terms, hence errs relatively.
    """
    magnitude = tabular.world.rewards.abs().amax(0) * float(np.prod([float(s) for s in sizes]))
    return rounding(4 * magnitude, 8 * len(tabular.world.prompt) + 128)


def value(tabular: TabularWorld, logits: np.ndarray) -> np.ndarray:
    """J_j by walking down the tree, for complex logits (P, C, V): (M,)."""
    world, tree = tabular.world, tabular.prefixes
    end, rewards = tree.vocabulary - 1, world.rewards.numpy()
    share = np.full(len(logits), 1 / len(logits))
    share = share if world.prompt_mass is None else world.prompt_mass.numpy()
    strings = [(*s, end) for k in range(tree.length) for s in product(range(end), repeat=k)]
    strings += list(product(range(end), repeat=tree.length))
    contexts = [c for k in range(tree.length) for c in product(range(end), repeat=k)]
    policy = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    total = np.zeros(rewards.shape[1], dtype=logits.dtype)
    for row, (x, string) in enumerate(product(range(len(logits)), strings)):
        p = share[x]
        for t, token in enumerate(string):
            p = p * policy[x, contexts.index(string[:t]), token]
        total += p * rewards[row]
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_t15_the_covariance_is_a_sum_over_tokens(seed: int) -> None:
    tabular, score, _ = drawn(seed)
    values = values_of(tabular)
    direction = values_of(tabular, score[:, None]).action[:, 0]
    tokens = token_covariance(values, direction)
    whole = within_prompt_covariance(
        tabular.world.rewards, score, *tabular.world.rollouts().groups
    ).estimate
    assert ((tokens - whole).abs() <= error(tabular, score.abs().max())).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_t15_needs_the_visits_of_each_context(seed: int) -> None:
    """With every context counted alike the identity fails."""
    tabular, score, _ = drawn(seed)
    values = values_of(tabular)
    alike = values._replace(visit=torch.full_like(values.visit, float(values.visit.mean())))
    direction = values_of(tabular, score[:, None]).action[:, 0]
    off = token_covariance(alike, direction) - token_covariance(values, direction)
    assert (off.abs() > error(tabular, score.abs().max())).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_t15_the_reward_is_its_mean_plus_its_token_advantages(seed: int) -> None:
    """r_j − E r_j = Σ_t A_j(h_t, y_t), completion by completion."""
    tabular, _, _ = drawn(seed)
    world, values = tabular.world, values_of(tabular)
    total = tabular.tokens.along(values.advantage).sum(1)
    mean = values.state[:: tabular.prefixes.contexts][world.prompt]
    assert ((world.rewards - mean - total).abs() <= error(tabular)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_t16_a_token_tilt_moves_objectives_by_token_covariances(seed: int) -> None:
    tabular, _, rng = drawn(seed)
    logits = tabular.logits()
    direction = torch.as_tensor(rng.normal(size=logits.shape))
    slope = value(tabular, logits.numpy() + 1j * STEP * direction.numpy()).imag / STEP
    predicted = token_covariance(values_of(tabular), direction.flatten())
    scale = tabular.prefixes.length * direction.abs().max()
    assert ((torch.as_tensor(slope) - predicted).abs() <= error(tabular, scale)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_t16_a_scalar_on_all_tokens_acts_through_its_conditional_mean(seed: int) -> None:
    """Σ_t scalar·∇log π(y_t|h_t) has the mean of the tilt along w = E[scalar|h, a]."""
    tabular, score, _ = drawn(seed)
    world = tabular.world
    direction = values_of(tabular, score[:, None])
    gradient = world.score_sum(world.row_weight() * score)
    joint = direction.taken * direction.advantage[:, 0]
    assert ((gradient - joint).abs() <= rounding(4 * score.abs().max(), 512)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_t17_finite_changes_from_either_side(seed: int) -> None:
    tabular, _, rng = drawn(seed)
    world = tabular.world
    moved = tabular.at(nearby(world, rng, 0.8))
    old, new = values_of(tabular), values_of(moved)
    change = (moved.world.row_weight() - world.row_weight()) @ world.rewards
    forward = token_change(new.visit, old, new, old.action)
    backward = token_change(old.visit, old, new, new.action)
    mixed = token_change(old.visit, old, new, old.action)
    bound = error(tabular)
    assert ((forward - change).abs() <= bound).all()
    assert ((backward - change).abs() <= bound).all()
    assert ((mixed - change).abs() > bound).any()  # first order only


@pytest.mark.parametrize("seed", SEEDS)
def test_t17_the_sequence_tilt_is_a_token_policy_of_soft_values(seed: int) -> None:
    tabular, score, _ = drawn(seed)
    world, eta = tabular.world, 0.9
    tokens = tabular.at(tilted_log_policy(tabular.tokens, score, eta)).world.log_prob_at()
    mass = world.log_prob_at().exp()
    tilt = world.log_prob_at() + tilt_log_ratio(score, eta, world.prompt, mass)
    size = 1 + tokens.abs().max() + eta * score.abs().max()
    assert ((tokens - tilt).abs() <= rounding(4 * size, 512)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_t17_the_tilt_along_action_values_agrees_to_first_order_only(seed: int) -> None:
    """d log π_η(a|h)/dη = A_s(h, a) at η = 0 for both: they part as η²."""
    tabular, score, _ = drawn(seed)
    values = values_of(tabular, score[:, None])
    slope = centred_in_context(values, values.action[:, 0])
    bound = rounding(4 * score.abs().max(), 8 * len(score) + 128)
    assert ((slope - values.advantage[:, 0]).abs() <= bound).all()

    def gap(eta: float) -> float:
        soft = tilted_log_policy(tabular.tokens, score, eta)
        plain = tabular.logits() + eta * values.action[:, 0].reshape(tabular.logits().shape)
        return float((soft - plain.log_softmax(2).flatten()).abs().max())

    assert gap(0.9) > 1e-3
    assert 3.9 < gap(2e-3) / gap(1e-3) < 4.1


@pytest.mark.parametrize("seed", SEEDS)
def test_vanilla_policy_gradient_weighs_contexts_by_squared_visits(seed: int) -> None:
    """⟨∇J_j, ∇J_s⟩ = Σ_h d(h)² Σ_a π² A_j A_s, unlike the law's Σ_h d(h) Σ_a π A_j A_s."""
    tabular, score, _ = drawn(seed)
    world = tabular.world
    closed = token_gradient_alignment(values_of(tabular), values_of(tabular, score[:, None]))
    gradient = policy_gradient(world, score)
    kernel = torch.stack([policy_gradient(world, r) @ gradient for r in world.rewards.T])
    assert ((kernel - closed).abs() <= error(tabular, score.abs().max())).all()

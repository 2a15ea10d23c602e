"""The contextual softmax bandit: its steps, its updates, its rung."""

from itertools import islice

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.natural_gradient import dense_natural_gradient
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.worlds.rungs import Rung, load_rung
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World
from covlaw.toys.bandit import RUNG, bandit_world, natural_step
from covlaw.toys.softmax_steps import at, natural, policy_gradient, torch_step, vanilla_step


def bandit(seed: int = 0, **options) -> tuple[World, torch.Tensor]:
    rng = np.random.default_rng(seed)
    world = bandit_world(rng, **options)
    return world, random_score(world, rng)


def log_prob_error(world: World) -> torch.Tensor:
    """Rounding of a log-prob after a step: sizes of logits and log-probs."""
    return rounding(world.theta.abs().max() + world.log_prob_at().abs().max() + 1, 256)


def test_a_natural_step_is_the_exponential_tilt() -> None:
    for seed in range(5):
        world, score = bandit(seed)
        moved = natural_step(world, score, 0.7).log_prob_at() - world.log_prob_at()
        tilt = tilt_log_ratio(score, 0.7, world.prompt, world.log_prob_at().exp())
        assert ((moved - tilt).abs() <= log_prob_error(world)).all()


def test_a_natural_step_follows_the_fisher_metric() -> None:
    """A_s is F⁺G_s up to a constant a prompt, by two solvers that know nothing of softmax."""
    world, score = bandit(3, prompt_mass=torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    closed = natural_step(world, score, 0.5).log_prob_at()
    dense = dense_natural_gradient(world, centred_score(world, score))
    solved = natural(world, 0.5)(policy_gradient(world, score))
    for direction in (0.5 * dense, solved):
        other = at(world, world.theta + direction).log_prob_at()
        # least squares loses the digits that the condition number of √π-weighted scores costs
        condition = float((world.row_weight().max() / world.row_weight().min()).sqrt()) * 15
        assert ((closed - other).abs() <= condition * log_prob_error(world)).all()


def test_a_vanilla_step_ascends_its_score_at_first_order() -> None:
    """d/dη E s = |G_s|², the slope by a complex step of the enumerated softmax."""
    world, score = bandit(1)
    gradient = policy_gradient(world, score)
    theta = world.theta.numpy() + 1j * 1e-100 * gradient.numpy()
    policy = np.exp(theta.reshape(3, 5) - world.theta.numpy().reshape(3, 5).max(1, keepdims=True))
    policy /= policy.sum(1, keepdims=True)
    slope = (policy * score.numpy().reshape(3, 5)).sum(1).mean().imag / 1e-100
    assert abs(slope - float(gradient @ gradient)) <= float(
        rounding(score.abs().max() ** 2 * 4, 128)
    )
    moved = vanilla_step(world, score, 0.1)
    assert torch.equal(moved.theta, world.theta + 0.1 * gradient)
    assert not torch.equal(moved.log_prob_at(), world.log_prob_at())  # the cache does not travel


def test_vanilla_and_natural_steps_can_disagree_on_an_objective() -> None:
    """Σ_x D² Σ_y π² A_j A_s is not Cov(r_j, s): some bandits see the signs differ."""
    signs = []
    for seed in range(60):
        world, score = bandit(seed, conflict=0.9)
        law = within_prompt_covariance(world.rewards, score, *world.rollouts().groups).estimate
        gradient = policy_gradient(world, score)
        kernel = torch.stack([policy_gradient(world, r) @ gradient for r in world.rewards.T])
        signs.append(law.sign() != kernel.sign())
    assert 0 < float(torch.cat(signs).to(torch.float64).mean()) < 0.5


def test_torch_steps_are_those_of_the_optimiser() -> None:
    """SGD: η·g. AdamW's first step: η·g/(|g| + 1e-8) and the decay −η·λ·θ."""
    world, score = bandit(2)
    gradient = policy_gradient(world, score)
    sgd = torch_step(world.theta, lambda p: torch.optim.SGD(p, lr=0.1))(gradient)
    adamw = torch_step(world.theta, lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.02))
    expected = 0.1 * (gradient / (gradient.abs() + 1e-8) - 0.02 * world.theta)
    error = rounding(world.theta.abs().max() + 1, 64)
    assert ((sgd - 0.1 * gradient).abs() <= error).all()
    assert ((adamw(gradient) - expected).abs() <= error).all()


def test_every_completion_is_listed_and_masses_are_those_of_the_logits() -> None:
    world, _ = bandit(0, prompts=2, arms=4, objectives=2, spread=0.0)
    assert world.prompt.tolist() == [0] * 4 + [1] * 4
    assert ((world.rollouts().mass - 0.25).abs() <= rounding(0.25, 16)).all()
    assert world.tabular
    assert world.names == ("objective 0", "objective 1")


def test_the_rung_is_found_and_reproducible() -> None:
    rung = load_rung("bandit")
    assert rung is RUNG
    assert isinstance(rung, Rung)
    for kind, draw in ((World, rung.worlds), (Update, rung.updates), (InnerStep, rung.inner_steps)):
        first, second = (list(draw(np.random.default_rng(4), 7)) for _ in range(2))
        assert len(first) == 7
        assert all(isinstance(instance, kind) for instance in first)
        assert [i.label for i in first] == [i.label for i in second]
        assert rung.default_count(kind) == 60
    one, two = (list(rung.updates(np.random.default_rng(4), 6)) for _ in range(2))
    assert all(torch.equal(a.change, b.change) for a, b in zip(one, two, strict=True))


def test_updates_come_from_several_optimisers() -> None:
    labels = [u.label for u in RUNG.updates(np.random.default_rng(0), 12)]
    for name in ("SGD", "Adam-like", "AdamW", "natural gradient"):
        assert any(name in label for label in labels), name


def test_exact_tilts_are_among_the_inner_steps() -> None:
    steps = list(islice(RUNG.inner_steps(np.random.default_rng(0), 9), 9))
    assert sum("tilt" in step.label for step in steps) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompts": 0}, "0 prompts"),
        ({"spread": -1.0}, "spread"),
        ({"conflict": -0.1}, "conflict"),
        ({"arms": 3}, "more completions"),
        ({"prompt_mass": torch.tensor([0.5, 0.5])}, "prompt_mass"),
    ],
)
def test_refuses_bad_sizes(options: dict, words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        bandit(0, **options)

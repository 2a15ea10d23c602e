"""The token tree: its completions, its policy, its rung."""

from itertools import product

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.natural_gradient import dense_natural_gradient
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.worlds.rungs import Rung, load_rung
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.softmax_steps import policy_gradient
from covlaw.toys.tabular import RUNG, TabularWorld, draw_tabular, tabular_world, token_natural_step


def strings(vocabulary: int, length: int) -> list[tuple[int, ...]]:
    """All completions by plain iteration: shorter first, the truncated ones last."""
    symbols, end = range(vocabulary - 1), vocabulary - 1
    ended = [(*s, end) for k in range(length) for s in product(symbols, repeat=k)]
    return ended + list(product(symbols, repeat=length))


def probability(logits: np.ndarray, vocabulary: int, string: tuple[int, ...]) -> float:
    """Product of softmaxes along one string; contexts counted by plain iteration."""
    contexts = [c for k in range(4) for c in product(range(vocabulary - 1), repeat=k)]
    out = 1.0
    for t, token in enumerate(string):
        row = np.exp(logits[contexts.index(string[:t])])
        out *= row[token] / row.sum()
    return out


def drawn(seed: int) -> tuple[TabularWorld, torch.Tensor]:
    rng = np.random.default_rng(seed)
    tabular = draw_tabular(rng)
    return tabular, random_score(tabular.world, rng)


@pytest.mark.parametrize("seed", range(6))
def test_log_probs_are_those_of_a_plain_enumeration(seed: int) -> None:
    tabular, _ = drawn(seed)
    tree, logits = tabular.prefixes, tabular.logits().numpy()
    listed = strings(tree.vocabulary, tree.length)
    assert [tuple(t for t in c if t >= 0) for c in tree.completions.tolist()] == listed
    expected = [[probability(rows, tree.vocabulary, s) for s in listed] for rows in logits]
    mass = tabular.world.log_prob_at().exp().reshape(len(logits), -1)
    error = rounding(mass * (1 + mass.log().abs()), 64)
    assert ((mass - torch.as_tensor(expected)).abs() <= error).all()


@pytest.mark.parametrize(("vocabulary", "length"), [(2, 1), (2, 3), (3, 3), (4, 2)])
def test_masses_sum_to_one_with_the_truncated_completions_only(
    vocabulary: int, length: int
) -> None:
    tree = PrefixTree(vocabulary, length)
    rng = np.random.default_rng(0)
    contexts = sum((vocabulary - 1) ** k for k in range(length))
    count = contexts + (vocabulary - 1) ** length
    assert len(tree.completions) == count
    logits = torch.as_tensor(rng.normal(size=(2, contexts, vocabulary)))
    rewards = torch.as_tensor(rng.normal(size=(2 * count, 1)))
    world = tabular_world(tree, logits, rewards, ["r"]).world
    mass = world.log_prob_at().exp().reshape(2, -1)
    assert ((mass.sum(1) - 1).abs() <= rounding(1.0, 8 * count)).all()
    assert (mass[:, :contexts].sum(1) < 1).all()


def test_a_natural_step_is_the_token_tilt_along_the_advantage() -> None:
    """F⁺G_s moves each logit by A_s(h, a), and the law holds along it (T12)."""
    for seed in range(4):
        tabular, score = drawn(seed)
        world = tabular.world
        dense = dense_natural_gradient(world, centred_score(world, score))
        closed = token_natural_step(tabular, score, 0.3).world.log_prob_at()
        solved = world.log_prob_at(world.theta + 0.3 * dense)
        weight = world.row_weight()
        condition = float((weight.max() / weight.min()).sqrt()) * world.theta.shape[0]
        error = rounding(1 + world.log_prob_at().abs().max() + score.abs().max(), 256)
        assert ((closed - solved).abs() <= condition * error).all()
        along = world.directional(dense)
        centred = centred_score(world, score)
        assert ((along - centred).abs() <= condition * error).all()


def test_a_natural_step_is_not_the_sequence_tilt() -> None:
    """Why `World.tabular` is False here: a logit a token is no logit a completion."""
    tabular, score = drawn(0)
    world = tabular.world
    step = token_natural_step(tabular, score, 1.0).world.log_prob_at() - world.log_prob_at()
    tilt = tilt_log_ratio(score, 1.0, world.prompt, world.log_prob_at().exp())
    assert not world.tabular
    assert float((step - tilt).abs().max()) > 0.01


def test_the_gradient_is_that_of_the_value() -> None:
    """G_s against central differences, whose own error is h² + u/h ≈ u^(2/3)."""
    tabular, score = drawn(2)
    world = tabular.world
    gradient, h = policy_gradient(world, score), 2.0**-18
    for k in (0, 5, len(world.theta) - 1):
        shift = h * torch.eye(len(world.theta), dtype=torch.float64)[k]
        up, down = (
            world.row_weight(world.log_prob_at(world.theta + d).exp()) @ score
            for d in (shift, -shift)
        )
        slack = 8 * (h**2 + 2.0**-53 / h) * float(score.abs().max())
        assert abs(float(up - down) / (2 * h) - float(gradient[k])) <= slack


def test_the_rung_is_found_and_reproducible() -> None:
    rung = load_rung("tabular")
    assert rung is RUNG
    assert isinstance(rung, Rung)
    for kind, draw in ((World, rung.worlds), (Update, rung.updates), (InnerStep, rung.inner_steps)):
        first = list(draw(np.random.default_rng(4), 5))
        assert len(first) == 5
        assert all(isinstance(instance, kind) for instance in first)
        assert rung.default_count(kind) == 30
    one, two = (list(rung.updates(np.random.default_rng(4), 4)) for _ in range(2))
    assert all(torch.equal(a.change, b.change) for a, b in zip(one, two, strict=True))


def test_the_rung_draws_token_objectives_and_random_tables() -> None:
    names = {w.names for w in RUNG.worlds(np.random.default_rng(1), 12)}
    assert names == {("accuracy", "conciseness", "clarity"), ("table 0", "table 1", "table 2")}


def test_refuses_logits_that_do_not_fit_the_tree() -> None:
    tree = PrefixTree(3, 2)
    rewards = torch.zeros(7, 1)
    with pytest.raises(CovlawError, match=r"give \(P, 3, 3\)"):
        tabular_world(tree, torch.zeros(1, 4, 3), rewards, ["r"])
    with pytest.raises(CovlawError, match="reward"):
        tabular_world(tree, torch.zeros(1, 3, 3), rewards[:6], ["r"])

"""Worlds with fewer directions or completions, score norms, and the rank of the scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from big_world import big_world
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements._support.gradient_rounding import largest_score_norm
from covlaw.theory.statements._support.random_instances import random_world
from covlaw.theory.statements._support.restricted_worlds import in_subspace, on_few_completions
from covlaw.theory.statements.gradients.natural_gradient_projects_the_score import score_span
from covlaw.theory.worlds.world import World


@pytest.mark.parametrize("seed", range(5))
def test_a_subspace_has_the_policy_and_the_scores_it_claims(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    line = in_subspace(world, rng, 2)
    torch.testing.assert_close(line.log_prob(line.theta), world.log_prob_at(), rtol=0, atol=1e-13)
    torch.testing.assert_close(
        torch.func.jacrev(line.log_prob)(line.theta), line.scores(), rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_few_completions_keep_the_odds(seed: int) -> None:
    numbered = torch.arange(3000, dtype=torch.float64)[:, None]  # the reward names the row
    world = replace(big_world(), rewards=numbered, names=("row",), cache={})
    few = on_few_completions(world, np.random.default_rng(seed), prompts=2, completions=4)
    row = few.rewards[:, 0].long()
    assert len(row.unique()) == 8
    assert few.prompt.tolist() == [0] * 4 + [1] * 4 == world.prompt[row].tolist()
    shift = few.log_prob_at() - world.log_prob_at()[row]
    first = shift[[0, 4]].repeat_interleave(4)
    torch.testing.assert_close(shift, first, rtol=0, atol=1e-13)
    sums = few.log_prob_at().exp().reshape(2, 4).sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-14)


def test_probed_score_norms_are_of_the_right_size() -> None:
    world = big_world()
    exact = float(world.scores().norm(dim=1).max())
    world.cache.pop("scores")
    assert 0.5 * exact < largest_score_norm(world) < 3 * exact


def test_a_rank_at_the_edge_of_rounding_is_not_decided() -> None:
    features = torch.tensor([[1.0, 1], [-1, -1], [0, 3e-15]], dtype=torch.float64)

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(features @ theta, torch.zeros(3, dtype=torch.int64), 1)

    world = World(
        "edge",
        torch.zeros(3).long(),
        torch.eye(3).double()[:, :1],
        ("r",),
        torch.zeros(2).double(),
        log_prob,
    )
    assert score_span(world) is None
    sides = STATEMENTS["T12"].sides(world, np.random.default_rng(0))
    assert bool(torch.isfinite(sides.measured).all())

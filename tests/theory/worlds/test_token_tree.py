"""Token trees: their shape, their probabilities, and what they refuse."""

from importlib.util import find_spec
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from nasty_trees import nasty_trees

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements._support.random_trees import LONGEST, random_shape
from covlaw.theory.statements.false_claims._explicit.trees import fan_tree
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.token_law import token_values
from covlaw.theory.worlds.token_tree import TokenTree, single_token_tree, softmax_tree

LARGE = ("transformer", "llm") if find_spec("transformers") else ()  # beyond the core
RUNGS = (RUNG, *map(load_rung, ("bandit", "tabular", *LARGE)))


@given(nasty_trees())
def test_choices_of_a_context_and_completions_of_a_prompt_sum_to_one(tree: TokenTree) -> None:
    size = 1 + float(tree.log_policy().abs().max())
    error = float(rounding(4 * size, 8 * len(tree.world.prompt) + 64))
    policy = tree.sum_by_context(tree.log_policy().exp())
    assert float((policy - 1).abs().max()) <= error
    totals = torch.zeros(int(tree.world.prompt.max()) + 1, dtype=torch.float64)
    totals.index_add_(0, tree.world.prompt, tree.world.log_prob_at().exp())
    assert float((totals - 1).abs().max()) <= error


@pytest.mark.parametrize("rung", RUNGS, ids=lambda r: r.name)
def test_completions_are_made_of_their_tokens(rung) -> None:
    for tree in islice(rung.trees(np.random.default_rng(2), 4), 4):
        summed = tree.along(tree.log_policy()).sum(1)
        whole = tree.world.log_prob_at()
        assert ((summed - whole).abs() <= rounding(4 * (1 + whole.abs().max()), 64)).all()
        assert tree.mask.sum(1).tolist() == tree.lengths.tolist()
        assert sorted(set(tree.choice[tree.mask].tolist())) == list(range(len(tree.context)))
        # a token's context is that of all tokens written before it: prefixes decide it
        for step in range(1, tree.choice.shape[1]):
            running = tree.mask[:, step]
            pairs = torch.stack(
                [tree.choice[running, step - 1], tree.context[tree.choice[running, step]]], 1
            )
            assert len(torch.unique(pairs, dim=0)) == len(torch.unique(pairs[:, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_random_shapes_have_a_choice_in_every_prompt(seed: int) -> None:
    shape = random_shape(np.random.default_rng(seed), 3)
    assert torch.bincount(shape.prompt).tolist()[0] >= 2
    assert int(torch.bincount(shape.prompt).min()) >= 2
    assert shape.choice.shape[1] <= LONGEST
    assert len(torch.unique(shape.choice, dim=0)) == len(shape.prompt)


def test_lengths_differ_within_a_random_tree() -> None:
    lengths = [t.lengths for t in RUNG.trees(np.random.default_rng(0), 10)]
    assert all(len(torch.unique(length)) > 1 for length in lengths)


def test_a_choice_of_probability_zero_has_its_value() -> None:
    tree = single_token_tree(next(RUNG.worlds(np.random.default_rng(0), 1)))
    log_policy = tree.log_policy().clone()
    log_policy[0] = -torch.inf
    values = token_values(tree, tree.world.rewards, log_policy)
    assert torch.equal(values.action, tree.world.rewards)


def test_a_fan_has_the_given_lengths_and_probabilities() -> None:
    from fractions import Fraction

    fan = fan_tree("fan", (Fraction(1, 4), Fraction(3, 4)), (0, 1), (3, 1))
    assert fan.lengths.tolist() == [3, 1]
    assert fan.world.log_prob_at().exp().tolist() == pytest.approx([0.25, 0.75], rel=1e-14)
    with pytest.raises(ValueError, match="sum to 1/2"):
        fan_tree("bad", (Fraction(1, 4), Fraction(1, 4)), (0, 1), (3, 1))


def test_refuses_parameters_that_do_not_fit() -> None:
    shape = random_shape(np.random.default_rng(0), 1)
    rewards = torch.zeros(len(shape.prompt), 1)
    with pytest.raises(CovlawError, match="needs"):
        softmax_tree(shape, torch.zeros(1).double(), rewards, ["r"])
    with pytest.raises(CovlawError, match="reward"):
        softmax_tree(shape, torch.zeros(len(shape.context)).double(), rewards[1:], ["r"])

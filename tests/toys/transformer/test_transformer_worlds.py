"""Enumeration through the prefix tree: complete, normalised, and equal to one-by-one scoring."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.prefix_tree import PAD, PrefixTree
from covlaw.toys.token_rewards import answer, separator, token_rewards
from covlaw.toys.transformer.float64_model import FlatModel, Float64, ModelShape
from covlaw.toys.transformer.worlds import transformer_world

PROMPTS = torch.tensor([[0, 1], [2, 1], [1, 2]])


def every_completion(vocabulary: int, length: int) -> set[tuple[int, ...]]:
    """EOS-terminated and truncated strings, by brute force."""
    end, found = vocabulary - 1, set()
    for string in product(range(vocabulary), repeat=length):
        stop = string.index(end) + 1 if end in string else length
        found.add(string[:stop])
    return found


@given(vocabulary=st.integers(2, 5), length=st.integers(1, 4))
def test_the_tree_lists_each_completion_once(vocabulary: int, length: int) -> None:
    tree = PrefixTree(vocabulary, length)
    listed = [tuple(t for t in row if t != PAD) for row in tree.completions.tolist()]
    assert len(listed) == len(set(listed))
    assert set(listed) == every_completion(vocabulary, length)
    assert tree.lengths.tolist() == [sum(t != vocabulary - 1 for t in row) for row in listed]


def test_the_large_tree_has_19608_completions() -> None:
    assert len(PrefixTree(8, 5).completions) == 19_608


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gpt2"])
def test_masses_sum_to_one(architecture: str) -> None:
    shape = ModelShape(4, layers=2, architecture=architecture)
    world = transformer_world(shape, 4, PROMPTS).world
    assert_normalised(world.log_prob_at(), shape, 4, len(PROMPTS))


def test_masses_of_the_large_world_sum_to_one() -> None:
    shape = ModelShape(8, layers=2)
    world = transformer_world(shape, 5, PROMPTS[:2]).world
    assert len(world.prompt) == 2 * 19_608
    assert_normalised(world.log_prob_at(), shape, 5, 2)


def assert_normalised(log_prob: Tensor, shape: ModelShape, length: int, prompts: int) -> None:
    """|Σ mass − 1|: each log-softmax sums to 1 up to a few roundings of its own size, whatever
    rounding the logits carry; L of them multiply, N terms add up."""
    masses = log_prob.exp().reshape(prompts, -1)
    largest = int(log_prob.abs().max()) + 1
    operations = length * (shape.vocabulary + 4 * largest + 4) + masses.shape[1]
    assert bool(((masses.sum(1) - 1).abs() <= rounding(1.0, operations)).all())


def one_by_one(model: FlatModel, prompt: list[int], completion: list[int]) -> float:
    """log π of one completion by the module's own forward pass on that string alone."""
    with torch.no_grad(), Float64():
        logits = model.module(torch.tensor([prompt + completion]), use_cache=False).logits[0]
    chosen = [
        torch.log_softmax(logits[len(prompt) - 1 + t], 0)[token]
        for t, token in enumerate(completion)
    ]
    return float(sum(chosen))


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gpt2"])
def test_log_probs_equal_one_by_one_scoring(architecture: str) -> None:
    shape = ModelShape(4, layers=2, architecture=architecture)
    made = transformer_world(shape, 3, PROMPTS[:2])
    strings = [[t for t in row if t != PAD] for row in made.tree.completions.tolist()]
    naive = torch.tensor(
        [one_by_one(made.model, p, c) for p in PROMPTS[:2].tolist() for c in strings],
        dtype=torch.float64,
    )
    fast = made.world.log_prob_at()
    assert bool(((fast - naive).abs() <= rounding(fast, 2 * made.world.depth)).all())


def test_rewards_read_the_string() -> None:
    tree, prompts = PrefixTree(4, 4), PROMPTS
    rewards = token_rewards(tree, prompts, conflict=0.25)
    strings = [[t for t in row if t not in (PAD, 3)] for row in tree.completions.tolist()]
    expected = [
        (
            float(string[-1:] == [int(target)]),
            1 - len(string) / 4,
            0.75 * (string[-2:-1] == [separator(tree)]) + 0.25 * len(string) / 4,
        )
        for target in answer(tree, prompts)
        for string in strings
    ]
    assert rewards.tolist() == [list(row) for row in expected]
    assert answer(tree, prompts).tolist() == [1, 1, 1]


def test_full_conflict_makes_clarity_the_opposite_of_conciseness() -> None:
    rewards = token_rewards(PrefixTree(5, 3), PROMPTS, conflict=1.0)
    assert (rewards[:, 1] + rewards[:, 2]).equal(torch.ones(len(rewards), dtype=torch.float64))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted))
def test_more_conflict_lowers_the_correlation(conflicts: list[float]) -> None:
    low, high = (token_rewards(PrefixTree(5, 4), PROMPTS, c)[:, 1:].T for c in conflicts)
    tie = float(rounding(1.0, 8 * low.shape[1]))
    assert torch.corrcoef(high)[0, 1] <= torch.corrcoef(low)[0, 1] + tie


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (torch.tensor([0, 1]), "all prompts of one length"),
        (torch.tensor([[0.0, 1.0]]), "integer tokens"),
        (torch.tensor([[0, 4]]), r"tokens outside 0 … 3"),
    ],
)
def test_prompts_that_are_no_tokens_are_refused(prompts: Tensor, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        transformer_world(ModelShape(4), 3, prompts)


@pytest.mark.parametrize(("vocabulary", "conflict"), [(4, 1.5), (4, float("nan")), (3, 0.5)])
def test_bad_reward_options_are_refused(vocabulary: int, conflict: float) -> None:
    with pytest.raises(CovlawError, match=r"conflict is|vocabulary is"):
        token_rewards(PrefixTree(vocabulary, 3), PROMPTS, conflict)

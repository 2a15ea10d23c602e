"""Pareto dominance and hypervolume, against brute force."""

from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.pareto import dominated, dominated_winners, dominates, hypervolume

LEVELS = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 3.0])


def point_sets(most: int = 5, objectives: int = 4) -> st.SearchStrategy[list[list[float]]]:
    """Points with many ties, some of them below the floor 0."""
    return st.integers(1, objectives).flatmap(
        lambda m: st.lists(st.lists(LEVELS, min_size=m, max_size=m), min_size=1, max_size=most)
    )


def brute_volume(points: list[list[float]], floor: float = 0.0) -> float:
    """Cut space at every coordinate and add the cells below some point."""
    columns = zip(*points, strict=True)
    cuts = [sorted({floor, *(x for x in column if x > floor)}) for column in columns]
    total = 0.0
    for cell in product(*(pairwise(axis) for axis in cuts)):
        if any(all(p >= top for p, (_, top) in zip(point, cell, strict=True)) for point in points):
            size = 1.0
            for low, top in cell:
                size *= top - low
            total += size
    return total


def tensor(points: object) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)


@given(point_sets())
def test_hypervolume_is_that_of_the_union_of_boxes(points: list[list[float]]) -> None:
    found = hypervolume(tensor(points), torch.zeros(len(points[0]), dtype=torch.float64))
    size = 4.0 ** len(points[0]) * 2 ** len(points)  # the recursion adds at most 2^n boxes
    assert found == pytest.approx(brute_volume(points), abs=float(rounding(size, 64)))


@given(point_sets(), st.randoms(use_true_random=False))
def test_hypervolume_has_the_symmetries_of_volume(points: list[list[float]], random: Any) -> None:
    given_points, count = tensor(points), len(points[0])
    floor = torch.zeros(count, dtype=torch.float64)
    volume = hypervolume(given_points, floor)
    order = torch.tensor(random.sample(range(count), count))
    rows = torch.tensor(random.sample(range(len(points)), len(points)))
    # powers of two, and boxes that stay exact: the same number to the last bit
    scale = 2.0 ** torch.arange(count)
    assert hypervolume(given_points[rows][:, order], floor) == pytest.approx(volume, rel=1e-14)
    assert hypervolume(given_points * scale, floor) == volume * float(scale.prod())
    assert hypervolume(torch.cat([given_points, given_points]), floor) == volume


def test_eight_objectives_are_exact() -> None:
    one = torch.ones(8, dtype=torch.float64)
    points = torch.stack([one, 2 * one - torch.eye(8, dtype=torch.float64)[0] * 1.5])
    # 1 + 2^7·½ − ½
    assert hypervolume(points, torch.zeros(8, dtype=torch.float64)) == 64.5


@given(point_sets())
def test_dominance_is_its_definition(points: list[list[float]]) -> None:
    for first, second in product(points, points):
        expected = all(a >= b for a, b in zip(first, second, strict=True)) and first != second
        assert bool(dominates(tensor(first), tensor(second))) == expected
    beaten = [
        any(bool(dominates(tensor(other), tensor(point))) for other in points) for point in points
    ]
    assert dominated(tensor(points), tensor(points)).tolist() == beaten


def test_a_margin_asks_for_more_than_a_little() -> None:
    better, worse = tensor([1.0, 0.52]), tensor([1.0, 0.5])
    assert dominates(better, worse)
    assert not dominates(better, worse, margin=0.05)
    assert dominates(better, worse, margin=tensor([1.0, 0.01]))
    slightly_worse_elsewhere = tensor([0.999, 5.0])
    assert not dominates(slightly_worse_elsewhere, worse, margin=0.05)


@pytest.mark.parametrize(
    ("points", "floor", "message"),
    [
        (torch.ones(2, 3), torch.zeros(2), r"points \(2, 3\) and floor \(2,\)"),
        (torch.ones(1, 9), torch.zeros(9), "9 objectives: at most 8"),
        (torch.full((1, 2), torch.nan), torch.zeros(2), "not finite: drop the diverged"),
    ],
)
def test_bad_input_is_named(points: Tensor, floor: Tensor, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        hypervolume(points, floor)


def test_bad_comparisons_are_named() -> None:
    with pytest.raises(CovlawError, match="2 and 3 objectives"):
        dominates(torch.ones(2), torch.ones(3))
    with pytest.raises(CovlawError, match="margin is -1"):
        dominates(torch.ones(2), torch.ones(2), -1.0)


def test_winners_are_judged_within_their_prompt_and_ties_share() -> None:
    rewards = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0], [2.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    prompt = torch.tensor([4, 4, 9, 7, 7, 7])
    score = torch.tensor([1.0, 0.0, 0.0, 2.0, 2.0, 1.0])
    # prompt 4: the worse one wins; 7: two tie, the other dominates one of them; 9: alone
    assert dominated_winners(rewards, score, prompt).tolist() == [1.0, 0.5, 0.0]
    assert not dominated_winners(rewards, rewards @ torch.tensor([0.5, 2.0]), prompt).any()

"""Hypervolume-guided weighting: the volume a point adds, and what it does to the score."""

import math
from itertools import combinations

import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer
from covlaw.theory.scalarizers._hypervolume import added_hypervolume, undominated
from covlaw.theory.scalarizers.dynamic_hypervolume import FRONT

POINTS = st.integers(1, 4).flatmap(
    lambda m: st.lists(
        st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), min_size=m, max_size=m),
        min_size=1,
        max_size=5,
    )
)


def union(points: torch.Tensor) -> float:
    """Volume of the boxes from 0 to the points together, by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points.clamp(min=0.0), size):
            total -= (-1) ** size * float(torch.stack(chosen).amin(0).prod())
    return total


@given(POINTS)
def test_a_point_adds_the_difference_of_the_unions(rows: list[list[float]]) -> None:
    points = torch.tensor(rows, dtype=torch.float64)
    floor = torch.zeros(points.shape[1], dtype=torch.float64)
    found = added_hypervolume(points[0], points[1:], floor)
    expected = union(points) - (union(points[1:]) if len(points) > 1 else 0.0)
    assert abs(found - expected) <= rounding(2.0 ** len(rows), 64)


def test_undominated_points_are_kept_once() -> None:
    points = torch.tensor([[1, 2], [2, 1], [1, 2], [1, 1]], dtype=torch.float64)
    assert undominated(points).tolist() == [[1, 2], [2, 1]]


def observed(*values: tuple[float, float]) -> list[float]:
    scalarizer = make_scalarizer("dynamic_hypervolume", ["a", "b"])
    state, factors = scalarizer.init(), []
    for pair in values:
        state = scalarizer.update(state, Observation(values=torch.tensor(pair).double()))
        factors.append(float(state.factor))
    return factors


def test_new_territory_is_rewarded_and_old_territory_is_not() -> None:
    factors = observed((0.0, 0.0), (0.5, 0.5), (0.5, 0.5), (0.25, 1.0), (-1.0, 2.0))
    expected = [1.0, 0.5 + 1.5 * math.tanh(0.25), 0.5, 0.5 + 1.5 * math.tanh(0.125), 0.5]
    assert all(abs(a - b) <= rounding(2.0, 16) for a, b in zip(factors, expected, strict=True))


def test_the_factor_scales_the_score_and_nothing_else() -> None:
    scalarizer = make_scalarizer("dynamic_hypervolume", ["a", "b"], weights=[1, 3])
    state = scalarizer.init()._replace(factor=torch.tensor(2.0).double())
    rewards = torch.tensor([[1, 0], [0, 1.0]], dtype=torch.float64)
    _, signal = scalarizer.signal(state, Batch(rewards, torch.zeros(2).long()))
    assert signal.score.tolist() == [0.5, 1.5]


def test_the_front_has_a_fixed_size() -> None:
    scalarizer = make_scalarizer("dynamic_hypervolume", ["a", "b"])
    state = scalarizer.update(scalarizer.init(), Observation(values=torch.zeros(2).double()))
    for k in range(2 * FRONT):  # all undominated
        share = torch.tensor([k, 2 * FRONT - k], dtype=torch.float64) / (2 * FRONT)
        state = scalarizer.update(state, Observation(values=share))
        assert state.front.shape == (FRONT, 2)
        assert torch.equal(state.front[-1], share)

"""Interference: worked examples, its invariances, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.interference import Attainable, interference, regression
from covlaw.theory.estimators.pareto import dominates

UNIT = Attainable(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def paths(seed: int, steps: int, objectives: int) -> Tensor:
    """Values on a grid in [0, 1], so that ties happen."""
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.integers(0, 9, size=(steps, objectives)) / 8)


def test_a_run_that_trades_one_objective_for_another() -> None:
    found = interference(tensor([[0.5, 0.8], [0.75, 0.6], [1.0, 0.2]]), UNIT)
    assert found.regression.tolist() == pytest.approx([0.0, 0.75])  # 1 − 0.2/0.8
    assert found.sacrificed.tolist() == [False, True]
    assert found.best.tolist() == [1.0, 0.8]
    assert not found.dominated_earlier
    assert found.hypervolume == pytest.approx(0.2)
    assert found.hypervolume_start == pytest.approx(0.4)
    # boxes (.5, .8), (.75, .6), (1, .2): .4 + .25·.6 + .25·.2
    assert found.hypervolume_visited == pytest.approx(0.4 + 0.15 + 0.05)


def test_a_run_that_goes_on_for_too_long_is_dominated_by_its_own_past() -> None:
    found = interference(tensor([[0.5, 0.5], [0.9, 0.9], [0.7, 0.9]]), UNIT)
    assert found.dominated_earlier
    assert not found.sacrificed.any()
    within = interference(tensor([[0.5, 0.5], [0.9, 0.9], [0.7, 0.9]]), UNIT, margin=0.25)
    assert not within.dominated_earlier


def test_regression_is_the_usual_one_where_the_floor_is_zero() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    lost = regression(tensor([0.2, 0.9, 0.0]), tensor([0.8, 0.5, 0.0]), zero)
    assert lost.tolist() == pytest.approx([0.75, 0.0, 0.0])


def test_an_objective_at_its_floor_has_nothing_to_lose() -> None:
    found = interference(tensor([[0.0, 0.5], [0.0, 0.6]]), UNIT)
    assert found.regression.tolist() == [0.0, 0.0]


def test_a_window_averages_noisy_ends() -> None:
    noisy = tensor([[0.4, 0.5], [0.6, 0.5], [0.1, 0.5], [0.3, 0.5]])
    found = interference(noisy, UNIT, window=2)
    assert found.start.tolist() == pytest.approx([0.5, 0.5])
    assert found.end.tolist() == pytest.approx([0.2, 0.5])
    assert found.regression.tolist() == pytest.approx([0.6, 0.0])


@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 4), st.integers(0, 23))
def test_objectives_may_be_named_in_any_order(
    seed: int, steps: int, objectives: int, shuffle: int
) -> None:
    path = paths(seed, steps, objectives)
    order = torch.as_tensor(np.random.default_rng(shuffle).permutation(objectives))
    box = Attainable(torch.zeros_like(path[0]), torch.ones_like(path[0]))
    plain, permuted = interference(path, box), interference(path[:, order], box)
    for name in ("start", "end", "best", "regression", "sacrificed"):
        assert torch.equal(getattr(plain, name)[order], getattr(permuted, name))
    assert plain.dominated_earlier == permuted.dominated_earlier
    assert plain.hypervolume == pytest.approx(permuted.hypervolume, rel=1e-14)
    assert plain.hypervolume_visited == pytest.approx(permuted.hypervolume_visited, rel=1e-12)


@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 4), st.integers(-30, 30))
def test_rewards_may_be_scaled_and_shifted(
    seed: int, steps: int, objectives: int, exponent: int
) -> None:
    """By powers of two and multiples of 1/8, which are exact: nothing changes, to the last bit."""
    path = paths(seed, steps, objectives)
    rng = np.random.default_rng(seed)
    scale = 2.0 ** (exponent + torch.as_tensor(rng.integers(-3, 4, size=objectives)).double())
    shift = torch.as_tensor(rng.integers(-40, 41, size=objectives) / 8) * scale
    plain = interference(path, Attainable(torch.zeros_like(path[0]), torch.ones_like(path[0])))
    moved = interference(scale * path + shift, Attainable(shift, scale + shift))
    assert torch.equal(plain.regression, moved.regression)
    assert torch.equal(plain.sacrificed, moved.sacrificed)
    assert plain.dominated_earlier == moved.dominated_earlier
    assert plain.hypervolume == moved.hypervolume
    assert plain.hypervolume_visited == moved.hypervolume_visited


def test_scaling_without_its_range_does_matter() -> None:
    """The twin that must fail: the attainable range is part of the measure."""
    path = tensor([[0.5, 0.8], [1.0, 0.2]])
    halved = interference(path / 2, UNIT)
    assert halved.hypervolume != interference(path, UNIT).hypervolume


@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 4))
def test_final_dominance_by_brute_force(seed: int, steps: int, objectives: int) -> None:
    path = paths(seed, steps, objectives)
    box = Attainable(torch.zeros_like(path[0]), torch.ones_like(path[0]))
    expected = any(bool(dominates(row, path[-1])) for row in path[:-1])
    assert interference(path, box).dominated_earlier == expected


@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 4))
def test_bounds(seed: int, steps: int, objectives: int) -> None:
    path = paths(seed, steps, objectives)
    found = interference(
        path, Attainable(torch.zeros_like(path[0]), torch.ones_like(path[0])), threshold=0.0
    )
    assert bool(((found.regression >= 0) & (found.regression <= 1)).all())
    assert 0 <= found.hypervolume <= found.hypervolume_visited * (1 + 1e-12) <= 1 + 1e-9
    assert torch.equal(found.sacrificed, (found.end < found.start) & (found.start > 0))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([[0.5, 0.5]], {}, r"values \(1, 2\).*T ≥ 2 rows"),
        ([[0.5, 1.5], [0.5, 0.5]], {}, "objective 1 is 1.5 at row 0, outside \\[0, 1\\]"),
        ([[0.5, 0.5], [float("nan"), 0.5]], {}, "objective 0 is nan at row 1"),
        ([[0.5, 0.5], [0.5, 0.5]], {"threshold": 1.0}, "threshold is 1.0"),
        ([[0.5, 0.5], [0.5, 0.5]], {"window": 2}, "window is 2 for 2 rows"),
    ],
)
def test_bad_input_is_named(values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        interference(tensor(values), UNIT, **options)

"""CTWA: its rule step by step, and what the published form gets wrong and ours does not."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer
from covlaw.theory.scalarizers.ctwa import CtwaState

NAMES = ["a", "b"]
COVARIANCES = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8)


def by_hand(
    seen: list[tuple[float, float]], target: float, step: float, ema: float, cap: float
) -> tuple[list[float], list[float]]:
    """`(log-weights, running covariances)` after the observations."""
    weights, running = [0.0, 0.0], [0.0, 0.0]
    for t, pair in enumerate(seen):
        rate = ema if t else 1.0
        for j, value in enumerate(pair):
            running[j] = (1 - rate) * running[j] + rate * value
            weights[j] = min(weights[j] + step * max(target - running[j], 0.0), cap)
    return weights, running


def observe(seen: list[tuple[float, float]], **options: float) -> list[CtwaState]:
    scalarizer = make_scalarizer("ctwa", NAMES, **options)
    states = [scalarizer.init()]
    for pair in seen:
        covariance = torch.tensor(pair, dtype=torch.float64)
        states.append(scalarizer.update(states[-1], Observation(covariance)))
    return states


@given(COVARIANCES, st.sampled_from([0.05, 1.0, 5.0]), st.sampled_from([0.1, 1.0]))
def test_log_weights_follow_the_published_rule(
    seen: list[tuple[float, float]], step: float, ema: float
) -> None:
    state = observe(seen, target=0.3, step=step, ema=ema, cap=3.0)[-1]
    weights, running = by_hand(seen, 0.3, step, ema, 3.0)
    allowed = rounding(1.3 * step * len(seen) + 3, 8 * len(seen))
    assert np.abs(state.log_weights.numpy() - weights).max() <= allowed
    assert np.abs(state.covariance.numpy() - running).max() <= allowed


@given(COVARIANCES)
def test_log_weights_never_fall_and_never_pass_the_cap(seen: list[tuple[float, float]]) -> None:
    states = observe(seen, target=0.5, step=5.0, cap=2.0)
    for before, after in pairwise(states):
        assert (after.log_weights >= before.log_weights).all()
        assert (after.log_weights <= 2.0).all()


def test_weights_stay_finite_for_ever() -> None:
    """Never normalised, e^u of a running sum overflows; the cap bounds every ratio of weights."""
    states = observe([(-1.0, 1.0)] * 2000, target=0.5, step=5.0, cap=3.0)
    scalarizer = make_scalarizer("ctwa", NAMES, target=0.5, step=5.0, cap=3.0)
    data = Batch(torch.eye(2, dtype=torch.float64), torch.zeros(2))
    _, signal = scalarizer.signal(states[-1], data)
    assert signal.weights is not None
    assert abs(signal.weights.sum() - 1) <= rounding(1.0, 4)
    assert abs((signal.weights[0] / signal.weights[1]).log() - 3) <= rounding(4.0, 16)


def test_met_targets_leave_the_weights_equal() -> None:
    state = observe([(0.4, 0.9), (0.31, 0.5)], target=0.3, step=5.0)[-1]
    assert state.log_weights.tolist() == [0.0, 0.0]


def test_an_objective_below_target_gains_weight() -> None:
    state = observe([(0.5, -0.2)], target=0.3, step=1.0)[-1]
    assert state.log_weights[0] == 0
    assert abs(state.log_weights[1] - 0.5) <= rounding(0.5, 4)


@pytest.mark.parametrize("covariance", [None, torch.tensor([0.1, math.nan])])
def test_a_missing_or_broken_covariance_is_refused(covariance: torch.Tensor | None) -> None:
    scalarizer = make_scalarizer("ctwa", NAMES)
    with pytest.raises(CovlawError, match="ctwa needs a finite covariance after each step"):
        scalarizer.update(scalarizer.init(), Observation(covariance))

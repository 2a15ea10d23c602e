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


THREE = ["accuracy", "conciseness", "clarity"]


def gated(rewards: float, **options: object) -> float:
    """Share of clarity after 100 steps on one stream: its covariance stays at 0, far below 1.

    Accuracy and conciseness are at their targets; clarity's mean reward is `rewards`.
    """
    scalarizer = make_scalarizer("ctwa", THREE, target=1.0, ema=1.0, **options)
    batch = Batch(
        torch.tensor([[0.5, 0.5, rewards]] * 4, dtype=torch.float64),
        torch.zeros(4, dtype=torch.int64),
    )
    state = scalarizer.init()
    seen = Observation(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    for _ in range(100):
        state, _ = scalarizer.signal(state, batch)
        state = scalarizer.update(state, seen)
    return float(torch.softmax(state.log_weights, -1)[2])


def test_an_objective_at_its_gate_gains_no_more_weight() -> None:
    """The public configuration's caps: 1 for accuracy, .95 for the others; 100 steps of .05."""
    grown = math.exp(5) / (math.exp(5) + 2)
    assert gated(0.9) == pytest.approx(grown)
    assert gated(0.95) == gated(1.0) == pytest.approx(1 / 3)
    assert gated(1.0, gate="off") == pytest.approx(grown)
    assert gated(0.9, gate=[1.0, 1.0, 0.9]) == pytest.approx(1 / 3)
    assert gated(0.89, gate=[1.0, 1.0, 0.9]) == pytest.approx(grown)


def test_objectives_without_a_published_cap_have_no_gate() -> None:
    assert make_scalarizer("ctwa", ["large", "clarity"]).gate.tolist() == [math.inf, 0.95]


def test_a_gated_objective_keeps_the_weight_that_it_has() -> None:
    scalarizer = make_scalarizer("ctwa", THREE, target=1.0)
    start = scalarizer.init()._replace(log_weights=torch.tensor([0.0, 0.0, 2.0]).double())
    full = Batch(torch.ones(2, 3, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))
    state, _ = scalarizer.signal(start, full)
    after = scalarizer.update(state, Observation(torch.zeros(3, dtype=torch.float64)))
    assert after.log_weights.tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize("gate", ["public", [1.0], [0.5, math.nan]])
def test_gates_that_make_no_sense_are_refused(gate: object) -> None:
    with pytest.raises(CovlawError, match="gate"):
        make_scalarizer("ctwa", NAMES, gate=gate)


def test_the_reference_statistic_divides_by_k() -> None:
    """And keeps, where most scores are the mean, nothing but those."""
    rewards = torch.tensor([[0, 0], [2, 0], [0, 2], [2, 2]], dtype=torch.float64)
    scalarizer = make_scalarizer("ctwa", NAMES, ema=1.0, reference=True)
    assert scalarizer.after == frozenset()
    batch = Batch(rewards, torch.zeros(4, dtype=torch.int64))
    state, _ = scalarizer.signal(scalarizer.init(), batch)
    # the median |w| is 0, so only |w| = 0 is kept, where nothing varies together
    assert state.covariance.tolist() == [0.0, 0.0]
    spread = torch.tensor([[0, 0], [2, 0.5], [0.5, 2], [2, 2]], dtype=torch.float64)
    state, _ = scalarizer.signal(scalarizer.init(), batch._replace(rewards=spread))
    score = spread.mean(1)
    weight = (score - score.mean()) / score.std(correction=0)
    kept = spread - spread.mean(0)
    assert state.covariance.tolist() == pytest.approx((kept.T @ weight / 4).tolist())


def test_the_reference_statistic_loses_rare_successes() -> None:
    """3 successes of 512: the median |w| is a thirteenth of 1, theirs 170 times it: exactly 0."""
    rewards = torch.zeros(512, 1, dtype=torch.float64)
    rewards[:3] = 1.0
    batch = Batch(rewards, torch.zeros(512, dtype=torch.int64))
    found = []
    for many in (rewards, torch.cat([torch.ones(100, 1).to(rewards), rewards[100:]])):
        scalarizer = make_scalarizer("ctwa", ["a"], ema=1.0, reference=True)
        state, _ = scalarizer.signal(scalarizer.init(), batch._replace(rewards=many))
        found.append(float(state.covariance[0]))
    share = 100 / 512
    assert found[0] == 0.0
    assert found[1] == pytest.approx((share * (1 - share)) ** 0.5)


def test_the_reference_statistic_is_the_same_by_masses_and_run_by_run() -> None:
    rewards = torch.tensor([[0, 1], [2, 0], [1, 3], [4, 1]], dtype=torch.float64)
    prompt = torch.tensor([0, 0, 1, 1])
    scalarizer = make_scalarizer("ctwa", NAMES, ema=1.0, reference=True)
    alone, _ = scalarizer.signal(scalarizer.init(), Batch(rewards, prompt))
    mass, outer = torch.full((2, 4), 0.5), torch.full((2,), 0.5)
    both = Batch(torch.stack([rewards, rewards.flip(1)]), prompt, mass.double(), outer.double())
    state = CtwaState(*(field.expand(2, *field.shape) for field in scalarizer.init()))
    found, _ = scalarizer.signal(state, both)
    assert found.covariance[0].tolist() == pytest.approx(alone.covariance.tolist())
    assert found.covariance[1].tolist() == pytest.approx(alone.covariance.flip(0).tolist())


def test_the_reference_form_has_no_other_statistic() -> None:
    with pytest.raises(CovlawError, match="leave 'grpo' out"):
        make_scalarizer("ctwa", NAMES, statistic="grpo", reference=True)

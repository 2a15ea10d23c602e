"""Lagrangian: multipliers of violated constraints, and the reference's mixture of z-scores."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer

NAMES = ("accuracy", "short", "clear")
VALUES = st.lists(st.tuples(*[st.floats(-1, 2)] * 3), max_size=10)


def batch(rewards: np.ndarray) -> Batch:
    return Batch(torch.as_tensor(rewards), torch.arange(len(rewards)) // 4)


@given(VALUES, st.sampled_from(NAMES))
def test_multipliers_follow_the_projected_dual_steps(
    seen: list[tuple[float, ...]], primary: str
) -> None:
    options = {"minimum": [0.3, 0.5, 0.7], "step": 0.5, "cap": 1.5}
    scalarizer = make_scalarizer("lagrangian", NAMES, primary=primary, **options)
    state, by_hand = scalarizer.init(), [0.0, 0.0, 0.0]
    for values in seen:
        state = scalarizer.update(state, Observation(values=torch.tensor(values).double()))
        for j, (bound, value) in enumerate(zip((0.3, 0.5, 0.7), values, strict=True)):
            value = float(torch.tensor(value))  # float32, as observed above
            if NAMES[j] != primary:
                by_hand[j] = min(max(by_hand[j] + 0.5 * (bound - value), 0.0), 1.5)
    allowed = rounding(2.0, 8 * len(seen) + 8)
    assert np.abs(state.multipliers.numpy() - by_hand).max() <= allowed


def test_score_is_the_primary_reward_plus_the_weighted_constraints() -> None:
    scalarizer = make_scalarizer("lagrangian", NAMES, minimum=1.0, step=0.25)
    state = scalarizer.update(scalarizer.init(), Observation(values=torch.tensor([0, 0, 0.5])))
    _, signal = scalarizer.signal(state, batch(np.eye(3)))
    assert signal.score.tolist() == [1.0, 0.25, 0.125]
    assert signal.advantage is None


def test_a_met_constraint_weighs_nothing_again() -> None:
    scalarizer = make_scalarizer("lagrangian", NAMES, minimum=0.5, step=1.0)
    state = scalarizer.init()
    for value in (0.0, 2.0):
        state = scalarizer.update(state, Observation(values=torch.full((3,), value)))
    assert state.multipliers.tolist() == [0, 0, 0]


def test_reference_standardises_each_reward_first_and_returns_the_mixture() -> None:
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(12, 3)) * [1, 100, 0.01] + [0, 5, -3]
    scalarizer = make_scalarizer("lagrangian", NAMES, reference=True)
    state = scalarizer.init()._replace(multipliers=torch.tensor([0, 0.5, 2.0]).double())
    _, signal = scalarizer.signal(state, batch(rewards))
    z = (rewards - rewards.mean(0)) / rewards.std(0, ddof=1)
    expected = torch.as_tensor(z @ [1, 0.5, 2.0])
    assert signal.advantage is not None
    assert ((signal.advantage - expected).abs() <= rounding(1e4, 64)).all()
    assert torch.equal(signal.score, signal.advantage)


def test_reference_does_not_see_the_scale_that_the_multiplier_is_meant_for() -> None:
    """Constraint rewards 1000 times as large leave the reference's advantage as it was."""
    rewards = np.random.default_rng(1).normal(size=(8, 3))
    for reference in (True, False):
        scalarizer = make_scalarizer("lagrangian", NAMES, reference=reference)
        state = scalarizer.init()._replace(multipliers=torch.ones(3).double())
        pair = [scalarizer.signal(state, batch(rewards * s))[1].score for s in (1, [1, 1000, 1])]
        same = bool(((pair[0] - pair[1]).abs() <= rounding(100.0, 256)).all())
        assert same == reference


def test_a_constant_reward_is_standardised_to_zero() -> None:
    rewards = np.random.default_rng(2).normal(size=(8, 3))
    rewards[:, 1] = 0.1  # its computed deviations are roundings, not 0
    scalarizer = make_scalarizer("lagrangian", NAMES, primary="short", reference=True)
    _, signal = scalarizer.signal(scalarizer.init(), batch(rewards))
    assert signal.score.tolist() == [0.0] * 8


def test_bad_options_and_observations_are_named() -> None:
    with pytest.raises(CovlawError, match="unknown primary objective 'acuracy': did you mean acc"):
        make_scalarizer("lagrangian", NAMES, primary="acuracy")
    with pytest.raises(CovlawError, match="minimum of 'short' is nan"):
        make_scalarizer("lagrangian", NAMES, minimum=[0, float("nan"), 0])
    assert make_scalarizer("lagrangian", NAMES, minimum=-2.0).minimum.tolist() == [-2.0] * 3
    scalarizer = make_scalarizer("lagrangian", NAMES)
    with pytest.raises(CovlawError, match="lagrangian needs values after each step"):
        scalarizer.update(scalarizer.init(), Observation())

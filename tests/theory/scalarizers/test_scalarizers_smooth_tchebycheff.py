"""Smooth Tchebycheff: between the worst shortfall and the mean, within μ·log M."""

import math

import pytest
import torch
from frozen_rungs import EXACT_RUNGS, frozen_batch, gain, rung_worlds
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.scalarizers.smooth_tchebycheff import smooth_maximum

VALUES = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=8)
SMOOTHINGS = st.sampled_from([1e-9, 1e-3, 0.1, 1.0, 1e3, 1e9])


def test_the_score_is_the_papers_formula_less_its_constant() -> None:
    rewards = torch.tensor([[4.0, 0], [0, 2], [3, 1]], dtype=torch.float64)
    scalarizer = make_scalarizer("smooth_tchebycheff", ["a", "b"], weights=[1, 3], smoothing=0.5)
    state, signal = scalarizer.signal(scalarizer.init(), Batch(rewards, torch.zeros(3).long()))
    assert state.ideal.tolist() == [4, 2]
    shortfall = [(0.0, 1.5), (1.0, 0.0), (0.25, 0.75)]
    for score, (one, two) in zip(signal.score.tolist(), shortfall, strict=True):
        expected = -0.5 * math.log((math.exp(one / 0.5) + math.exp(two / 0.5)) / 2)
        assert abs(score - expected) <= rounding(2.0, 64)


@given(VALUES, SMOOTHINGS)
def test_it_lies_between_the_mean_and_the_maximum(values: list[float], smoothing: float) -> None:
    tensor = torch.tensor(values, dtype=torch.float64)
    found = smooth_maximum(tensor, smoothing)
    allowed = rounding(tensor.abs().max(), 8 * len(values) + 32)
    assert tensor.mean() - allowed <= found <= tensor.max() + allowed
    assert found >= tensor.max() - smoothing * math.log(len(values)) - allowed - rounding(
        smoothing * 3, 64
    )


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_small_differences_survive_a_large_smoothing(gap: float, smoothing: float) -> None:
    """μ·log((1 + e^{−g/μ})/2) = −g/2 + g²/8μ − …: not lost beside μ."""
    found = smooth_maximum(torch.tensor([0.0, -gap], dtype=torch.float64), smoothing)
    ratio = gap / smoothing
    exact = -gap / 2 if ratio < 1e-17 else smoothing * math.log1p(math.expm1(-ratio) / 2)
    assert abs(found - exact) <= rounding(gap + smoothing * min(ratio, 1.0), 32)


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_covariances_differ_from_tchebycheffs_by_at_most_the_smoothing(rung: str) -> None:
    """E8 carries over within μ·log M·R_j/4 (Grüss, prompt by prompt), R_j averaged over prompts."""
    for world in rung_worlds(rung):
        batch, count = frozen_batch(world), world.rewards.shape[1]
        span = group_by_prompt(world.prompt).span(world.rewards)
        masses = batch.prompt_mass
        spread = span.mean(0) if masses is None else masses @ span
        sharp = make_scalarizer("tchebycheff", world.names)
        reference = gain(world, sharp.signal(sharp.init(), batch)[1].score)
        slack = rounding(world.rewards.abs().max().square() * 8, 64 * (len(world.prompt) + 8))
        for smoothing in (1e-3, 0.1, 10.0):
            smooth = make_scalarizer("smooth_tchebycheff", world.names, smoothing=smoothing)
            found = gain(world, smooth.signal(smooth.init(), batch)[1].score)
            bound = smoothing * math.log(count) * spread / 4
            assert ((found - reference).abs() <= bound + slack).all()


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_a_large_smoothing_is_the_linear_score(rung: str) -> None:
    """|μ·log mean e^{x/μ} − mean x| ≤ range²/8μ (Hoeffding): Cov_j → Cov(r_j, Σ_i w_i r_i)/M."""
    for world in rung_worlds(rung, 3):
        batch, count = frozen_batch(world), world.rewards.shape[1]
        smoothing = 1e3 * float(world.rewards.abs().max())
        smooth = make_scalarizer("smooth_tchebycheff", world.names, smoothing=smoothing)
        found = gain(world, smooth.signal(smooth.init(), batch)[1].score)
        linear = gain(world, world.rewards.mean(1) / count)
        size = world.rewards.abs().max()
        error = (2 * size) ** 2 / (8 * smoothing) * size
        assert ((found - linear).abs() <= error + rounding(size * smoothing, 1024)).all()


def test_two_steps_move_the_ideal_point_and_a_given_one_stays() -> None:
    rows = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    moving = make_scalarizer("smooth_tchebycheff", ["a", "b"])
    state, _ = moving.signal(moving.init(), Batch(rows, torch.zeros(2).long()))
    state, _ = moving.signal(state, Batch(2 * rows - 1, torch.zeros(2).long()))
    assert state.ideal.tolist() == [1, 1]
    fixed = make_scalarizer("smooth_tchebycheff", ["a", "b"], ideal=[5.0, 0.5])
    state, _ = fixed.signal(fixed.init(), Batch(rows, torch.zeros(2).long()))
    assert state.ideal.tolist() == [5.0, 0.5]
    with pytest.raises(CovlawError, match="smoothing is 0"):
        make_scalarizer("smooth_tchebycheff", ["a"], smoothing=0)

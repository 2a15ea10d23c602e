"""Tchebycheff: the worst shortfall of each completion; the reference's token-level form."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import NORMALISERS, group_advantage
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements.scalarization._length_penalty import closed_form, mean_advantage

NAMES = ("a", "b")
LENGTHS = torch.tensor([10, 20, 30])


def batch(rewards: list[list[float]], **fields: torch.Tensor) -> Batch:
    values = torch.tensor(rewards, dtype=torch.float64)
    return Batch(values, torch.zeros(len(rewards), dtype=torch.int64), **fields)


def test_score_is_minus_the_largest_weighted_shortfall() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES, weights=[1, 3])
    state, signal = scalarizer.signal(scalarizer.init(), batch([[4, 0], [0, 2], [3, 1]]))
    assert state.ideal.tolist() == [4, 2]
    assert signal.score.tolist() == [-1.5, -1.0, -0.75]
    assert signal.advantage is None


def test_the_ideal_point_moves_before_use_and_never_back() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES)
    state, _ = scalarizer.signal(scalarizer.init(), batch([[-5, -1], [-4, -2]]))
    assert state.ideal.tolist() == [-4, -1]  # the first batch's best, not 0
    state, signal = scalarizer.signal(state, batch([[-6, 0], [-6, 0]]))
    assert state.ideal.tolist() == [-4, 0]
    assert signal.score.tolist() == [-1, -1]


def test_completions_of_probability_zero_do_not_set_the_ideal_point() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES)
    mass = torch.tensor([1.0, 0.0], dtype=torch.float64)
    state, _ = scalarizer.signal(scalarizer.init(), batch([[1, 1], [9, 9]], mass=mass))
    assert state.ideal.tolist() == [1, 1]


def test_a_given_ideal_point_stays() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES, ideal=[1.0, -2.0])
    state, signal = scalarizer.signal(scalarizer.init(), batch([[9, 0]]))
    assert state.ideal.tolist() == [1, -2]
    assert signal.score.tolist() == [1.0]  # beyond its ideal: −max(−4, −1)


def reference_batch(lengths: torch.Tensor, rewards: torch.Tensor) -> Batch:
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return Batch(rewards, torch.zeros(len(lengths), dtype=torch.int64), mask=mask)


def test_equal_rewards_of_lengths_10_20_30_get_the_length_penalty() -> None:
    rewards = torch.full((3, 2), 0.7, dtype=torch.float64)
    assert [round(v, 2) for v in mean_advantage(LENGTHS, rewards).tolist()] == [0.83, 0.21, -0.41]
    assert [round(v, 2) for v in closed_form(LENGTHS).tolist()] == [0.83, 0.21, -0.41]
    published = make_scalarizer("tchebycheff", NAMES)
    _, signal = published.signal(published.init(), reference_batch(LENGTHS, rewards))
    for normaliser in NORMALISERS:
        advantage = group_advantage(signal.score, torch.zeros(3, dtype=torch.int64), normaliser)
        assert advantage.tolist() == [0, 0, 0]


@given(st.lists(st.integers(1, 12), min_size=2, max_size=4))
def test_reference_advantage_is_the_whitened_return_to_go(lengths: list[int]) -> None:
    length = torch.tensor(lengths)
    rewards = torch.arange(2.0 * len(lengths), dtype=torch.float64).reshape(-1, 2)
    data = reference_batch(length, rewards)
    if sum(lengths) < 2:
        return
    scalarizer = make_scalarizer("tchebycheff", NAMES, reference=True)
    state, signal = scalarizer.signal(scalarizer.init(), data)
    ideal = rewards.amax(0).clamp(min=0.0)
    assert torch.equal(state.ideal, ideal)
    # token by token, as a loop
    returns = []
    for row, n in enumerate(lengths):
        token = [-float((ideal / 2).max())] * (n - 1) + [float(signal.score[row])]
        returns += [sum(token[t:]) for t in range(n)]
    flat = torch.tensor(returns, dtype=torch.float64)
    assert signal.advantage is not None
    assert data.mask is not None
    spread = flat.std()
    expected = (flat - flat.mean()) / spread if spread > 0 else torch.zeros_like(flat)
    allowed = rounding(flat.abs().max() / max(float(spread), 1e-9) + 4, 64 * len(flat))
    assert ((signal.advantage[data.mask] - expected).abs() <= allowed).all()
    assert (signal.advantage[~data.mask] == 0).all()


def test_reference_starts_its_ideal_point_from_the_padding() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES, reference=True)
    data = reference_batch(LENGTHS, torch.full((3, 2), -3.0, dtype=torch.float64))
    state, _ = scalarizer.signal(scalarizer.init(), data)
    assert state.ideal.tolist() == [0, 0]


def test_reference_needs_a_mask_and_its_own_ideal_point() -> None:
    scalarizer = make_scalarizer("tchebycheff", NAMES, reference=True)
    with pytest.raises(CovlawError, match="needs mask"):
        scalarizer.signal(scalarizer.init(), batch([[1, 1]]))
    with pytest.raises(CovlawError, match="the reference moves its own"):
        make_scalarizer("tchebycheff", NAMES, reference=True, ideal=1.0)
    assert make_scalarizer("tchebycheff", NAMES).before == frozenset()
    assert scalarizer.before == {"mask"}

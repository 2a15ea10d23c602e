"""Losses for loss-balancing scalarizers: positive, in the reward's unit, those of π_new."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.observation import Observer
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers.reward_losses import policy_gradient_losses, shortfall

PROMPT = torch.tensor([0, 0, 0, 1, 1, 1])
ONES = torch.ones(6).double()
# means of 6 products, three operations each
TOLERANCE = 64 * 2.0**-53


def column(*values: float) -> Tensor:
    return torch.tensor(values).double()[:, None]


def test_half_a_completion_short_of_perfect() -> None:
    perfect = shortfall(column(1, 1, 1, 1, 1, 1), ONES, PROMPT, {"a": (0.0, 1.0)})
    worst = shortfall(column(0, 0, 0, 0, 0, 0), ONES, PROMPT, {"a": (0.0, 1.0)})
    third = shortfall(column(1, 1, 0, 1, 1, 0), ONES, PROMPT, {"a": (0.0, 1.0)})
    found = torch.cat([perfect, worst, third])
    assert found.tolist() == pytest.approx([0.5 / 7, 6.5 / 7, 2.5 / 7], rel=TOLERANCE)


def test_it_is_that_of_the_new_policy() -> None:
    """π_new writes the good completion of a prompt three times as often."""
    ratio = torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0, 1.0]).double()
    found = shortfall(column(1, 0, 0, 1, 0, 0), ratio, PROMPT, {"a": (0.0, 1.0)})
    missing = (2 / 5 + 2 / 3) / 2
    assert found.tolist() == pytest.approx([(6 * missing + 0.5) / 7], rel=TOLERANCE)


@given(
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.lists(st.floats(1e-6, 1e6), min_size=6, max_size=6),
    st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_it_is_positive_and_has_the_rewards_unit(
    rewards: list[float], ratios: list[float], scale: float
) -> None:
    ratio = torch.tensor(ratios).double()
    plain = shortfall(column(*rewards), ratio, PROMPT, {"a": (0.0, 1.0)})
    scaled = shortfall(scale * column(*rewards), ratio, PROMPT, {"a": (0.0, scale)})
    assert 0 < float(plain) < 1
    assert float(scaled) == pytest.approx(scale * float(plain), rel=1e3 * TOLERANCE)


def test_rewards_outside_their_range_are_named() -> None:
    two = torch.stack([ONES, 3 * ONES], 1)
    message = r"rewards of 'speed' run from 3 to 3, outside \[0, 1\], .*: set reward_worst"
    with pytest.raises(CovlawError, match=message):
        shortfall(two, ONES, PROMPT, {"good": (0.0, 1.0), "speed": (0.0, 1.0)})


def test_the_references_loss_is_minus_the_standardised_gain() -> None:
    ratio = torch.tensor([1.2, 0.9, 0.9, 1.0, 1.0, 1.0], dtype=torch.float64)
    rewards = torch.cat([column(1, 0, 0, 0, 0, 1), 0.7 * ONES[:, None]], 1)
    found = policy_gradient_losses(rewards, ratio, PROMPT)
    gain = (1.2 - 1.0) / 2 / 2  # (K−1) covariance of the first prompt, mean of two
    spread = (1 / 3) ** 0.5
    assert found.tolist() == pytest.approx([-gain / spread, 0.0], rel=10 * TOLERANCE)


@pytest.mark.parametrize("wanted", [{"values"}, {"covariance"}, {"losses"}, {"values", "losses"}])
def test_an_observation_holds_only_what_is_wanted(policy, draw, wanted: set[str]) -> None:
    completions = draw(n=8)
    rewards = torch.rand(24, 2, generator=torch.Generator().manual_seed(0)).double()
    config = TrainConfig(rewards=("a", "b"), scalarizer="gradnorm")
    observer = Observer(
        policy[0], SampledRollouts.of(completions, rewards, config.rewards), wanted, config
    )
    assert (observer.before is None) == (wanted == {"values"})
    with torch.no_grad():
        for p in trainable(policy[0]).values():
            p *= 1.05
    seen = observer.see()
    assert {name for name in seen._fields if getattr(seen, name) is not None} == wanted
    assert all(getattr(seen, name).shape == (2,) for name in wanted)


@pytest.mark.parametrize("reference", [False, True])
def test_the_reference_gets_losses_of_either_sign(policy, draw, reference: bool) -> None:
    completions = draw(n=8)
    rewards = torch.rand(24, 2, generator=torch.Generator().manual_seed(0)).double()
    options: dict[str, Any] = {"gradnorm": {"reference": reference}}
    config = TrainConfig(rewards=("a", "b"), scalarizer="gradnorm", options=options)
    observer = Observer(
        policy[0], SampledRollouts.of(completions, rewards, config.rewards), {"losses"}, config
    )
    losses = observer.see().losses  # nothing has moved
    assert losses is not None
    if reference:
        assert losses.abs().max() <= TOLERANCE
    else:
        expected = (24 * (1 - rewards.mean(0)) + 0.5) / 25
        assert losses.tolist() == pytest.approx(expected.tolist(), rel=TOLERANCE)


def test_a_range_is_for_all_or_one_each() -> None:
    config = TrainConfig(rewards=("a", "b"), reward_worst=[-1.0], reward_best=[1.0, 5.0])  # type: ignore[arg-type]
    assert config.reward_range == {"a": (-1.0, 1.0), "b": (-1.0, 5.0)}

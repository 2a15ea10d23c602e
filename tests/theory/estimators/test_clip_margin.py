"""T27: what clipping can do to the law at most."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import policies
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.margin import ClipMargin, clip_margin
from covlaw.theory.losses import effective_weight

CLIP = (0.2, 0.2, None)


class Batch(NamedTuple):
    rewards: Tensor
    advantage: Tensor
    log_ratio: Tensor
    prompt: Tensor
    mass: Tensor | None

    def margin(self) -> ClipMargin:
        return clip_margin(
            self.rewards, self.advantage, self.log_ratio, CLIP, self.prompt, self.mass
        )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """One to three prompts with ties and constants, most of them partly clipped."""
    sizes = draw(st.lists(st.integers(2, 5), min_size=1, max_size=3))
    rows = sum(sizes)

    def column(values: st.SearchStrategy[float]) -> Tensor:
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        return torch.tensor(drawn, dtype=torch.float64)

    small = st.floats(-2, 2).map(lambda x: round(x, 3))
    masses = [m for size in sizes for m in draw(policies(size))]
    return Batch(
        torch.stack([column(small), column(st.sampled_from([0.0, 1.0]))], 1),
        column(small),
        column(st.sampled_from([-0.5, -0.1, 0.0, 0.1, 0.4, 1.0])),
        torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)),
        torch.tensor(masses, dtype=torch.float64) if draw(st.booleans()) else None,
    )


@given(batches())
def test_no_bound_is_ever_exceeded(batch: Batch) -> None:
    margin = batch.margin()
    moved = (margin.unclipped.per_prompt - margin.clipped.per_prompt).abs()
    error = rounding(2 * 2 * 2 * 2 * 3, 4 * len(batch.prompt) + 32)  # K/(K−1)·|r|·|A|·ρ·two sides
    for bound in (margin.deviation, margin.spread, margin.local):
        assert (moved <= bound + error).all()
    assert torch.equal(
        margin.bound, torch.stack([margin.deviation, margin.spread, margin.local]).amin(0)
    )


@given(batches())
def test_a_certified_law_keeps_its_sign(batch: Batch) -> None:
    margin = batch.margin()
    product = margin.unclipped.estimate * margin.clipped.estimate
    assert (product[margin.certified] > 0).all()


def test_each_bound_is_attained() -> None:
    """sd: r = Y. Range: r = 1[Y > E Y]. Local: r − E r ∝ Y on the clipped completions."""
    mass = torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64)
    advantage = torch.tensor([1.0, 2.0, -1.0, -2.0], dtype=torch.float64)
    log_ratio = torch.tensor([1.0, 0.0, -1.0, 0.0], dtype=torch.float64)
    weight = effective_weight(advantage, log_ratio, None, *CLIP)
    lost = log_ratio.exp() * advantage - weight
    rewards = torch.stack([lost, (lost > mass @ lost).to(torch.float64)], 1)
    margin = clip_margin(rewards, advantage, log_ratio, CLIP, torch.zeros(4).long(), mass)
    moved = (margin.unclipped.per_prompt - margin.clipped.per_prompt).abs()[0]
    error = float(rounding(8 * 3.0, 64))
    assert abs(float(margin.deviation[0, 0] - moved[0])) <= error
    assert abs(float(margin.spread[0, 1] - moved[1])) <= error
    ramp = torch.where(lost != 0, lost, -lost.sum() / 2)  # the other two bring E r to 0
    margin = clip_margin(ramp[:, None], advantage, log_ratio, CLIP, torch.zeros(4).long(), mass)
    moved = (margin.unclipped.per_prompt - margin.clipped.per_prompt).abs()
    assert abs(float(margin.local - moved)) <= error


def test_an_exact_tie_is_not_certified() -> None:
    """Two completions, both clipped: the margin equals the law, and W has no law left."""
    rewards = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    advantage = torch.tensor([0.7, -0.3], dtype=torch.float64)
    for big, small in ((0.4, -0.6), (0.3, -0.9), (1.1, -2.0)):
        log_ratio = torch.tensor([big, small], dtype=torch.float64)
        margin = clip_margin(rewards, advantage, log_ratio, CLIP, torch.zeros(2).long())
        assert margin.clipped.estimate.item() == 0
        assert margin.unclipped.estimate.item() > 0
        assert not margin.certified.any()


def test_nothing_clipped_certifies_every_law() -> None:
    rewards = torch.tensor([[1.0, 2.0], [0.0, 2.0]], dtype=torch.float64)
    advantage = torch.tensor([0.5, -0.5], dtype=torch.float64)
    margin = clip_margin(rewards, advantage, torch.zeros(2), CLIP, torch.zeros(2).long())
    assert (margin.bound == 0).all()
    assert margin.certified.tolist() == [True, False]  # a constant reward has no sign to certify


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e6])
def test_rounding_is_not_certified_as_a_law(size: float) -> None:
    """.1 + .2 is not .3: a reward without spread has a covariance of 1e-17, and no sign."""
    level = torch.tensor([0.1 + 0.2, 0.3, 0.1 + 0.2], dtype=torch.float64)
    tiny = torch.tensor([1e-12, 0.0, 0.0], dtype=torch.float64)
    rewards = size * torch.stack([level, 0.3 + tiny], 1)
    advantage = torch.tensor([0.5, -1.0, 0.5], dtype=torch.float64)
    margin = clip_margin(rewards, advantage, torch.zeros(3), CLIP, torch.zeros(3).long())
    assert 0 < margin.unclipped.estimate[0] < 1e-16 * size
    assert margin.unclipped.estimate[1] > 1e-13 * size
    assert margin.certified.tolist() == [False, True]


def test_samples_bound_the_unbiased_covariance() -> None:
    """The margin carries the K/(K−1) of the covariance that it bounds."""
    rewards = torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)
    advantage = torch.tensor([2.0, -1.0, -1.0], dtype=torch.float64)
    log_ratio = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    prompt, third = torch.zeros(3).long(), torch.full((3,), 1 / 3, dtype=torch.float64)
    sampled = clip_margin(rewards, advantage, log_ratio, CLIP, prompt)
    exact = clip_margin(rewards, advantage, log_ratio, CLIP, prompt, third)
    assert torch.allclose(sampled.bound, exact.bound * 1.5, rtol=1e-14, atol=0)
    unclipped = within_prompt_covariance(rewards, log_ratio.exp() * advantage, prompt)
    assert torch.equal(sampled.unclipped.estimate, unclipped.estimate)


def test_refuses_what_the_covariance_refuses() -> None:
    ok = torch.tensor([0.5, -0.5], dtype=torch.float64)
    with pytest.raises(CovlawError, match="clip_high"):
        clip_margin(ok[:, None], ok, ok, (0.2, -1.0, None), torch.zeros(2).long())
    with pytest.raises(CovlawError, match="single completion"):
        clip_margin(ok[:, None], ok, ok, CLIP, torch.arange(2))

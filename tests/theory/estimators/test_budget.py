"""T9, T10: the chain of score fields adds up, and its certificate is never wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from referee import mean_covariance, tolerance
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.budget import ScoreFields, deviation, law_budget, short_budget
from covlaw.theory.worlds.tilt import tilt_log_ratio

TERMS = ("f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt")


@st.composite
def updates(draw: st.DrawFn) -> tuple[Bandit, ScoreFields]:
    """A bandit with an arbitrary chain: the identity of T9 holds for any fields."""
    bandit = draw(bandits(exact=True) | bandits(exact=False))
    rows = bandit.prompt.shape[0]
    scale = draw(st.sampled_from([1e-6, 1e-2, 1.0]))
    value = st.floats(-1, 1).map(lambda x: round(x, 9))
    fields = [
        scale * torch.tensor(draw(st.lists(value, min_size=rows, max_size=rows))).double()
        for _ in range(5)
    ]
    score = bandit.score.clamp(-9, 9)
    return bandit, ScoreFields(score, *fields)


@given(updates())
def test_terms_add_up_to_the_realised_change(case: tuple[Bandit, ScoreFields]) -> None:
    bandit, fields = case
    budget = law_budget(bandit.rewards, fields, *bandit.groups)
    assert tuple(budget.terms) == TERMS
    total = torch.stack(list(budget.terms.values())).sum(0)
    assert ((total - budget.realised).abs() <= chain_rounding(bandit, fields, budget.scale)).all()


def chain_rounding(bandit: Bandit, fields: ScoreFields, scale: Tensor) -> Tensor:
    """The terms are covariances with differences of fields, each rounded to the fields' size."""
    chain = [scale * fields.score, *fields[1:], torch.expm1(fields.log_ratio)]
    size = float(torch.stack([f.abs().max() for f in chain]).sum())
    span = bandit.rewards.amax(0) - bandit.rewards.amin(0)
    operations = 8 * (bandit.prompt.shape[0] + 8)
    means = rounding(bandit.rewards.abs().amax(0), operations) * rounding(size, operations)
    return 4 * (rounding(span * size, operations) + means)


@given(updates())
def test_each_term_is_the_covariance_with_its_gap(case: tuple[Bandit, ScoreFields]) -> None:
    bandit, fields = case
    budget = law_budget(bandit.rewards, fields, *bandit.groups)
    gaps = {
        "clipping": fields.clipped_gradient - fields.policy_gradient,
        "sampling": fields.batch_gradient - fields.clipped_gradient,
        "optimiser": fields.step - fields.batch_gradient,
        "logit": fields.log_ratio - fields.step,
    }
    for name, gap in gaps.items():
        for j, column in enumerate(bandit.rewards.T):
            expected = mean_covariance(column, gap, *bandit.groups)
            allowed = tolerance(column, gap, bandit.prompt, bandit.prompt_mass)
            assert abs(budget.terms[name][j].item() - expected) <= allowed


@given(updates())
def test_the_score_itself_has_no_kernel_gap(case: tuple[Bandit, ScoreFields]) -> None:
    bandit, fields = case
    budget = law_budget(fields.score[:, None], fields, *bandit.groups)
    only_score = bandit._replace(rewards=fields.score[:, None])
    assert abs(budget.kernel.item()) <= chain_rounding(only_score, fields, budget.scale).item()


@given(updates())
def test_a_certified_sign_is_the_sign_of_the_change(case: tuple[Bandit, ScoreFields]) -> None:
    bandit, fields = case
    short = short_budget(bandit.rewards, fields, *bandit.groups)
    realised = [
        mean_covariance(column, torch.expm1(fields.log_ratio), *bandit.groups)
        for column in bandit.rewards.T
    ]
    for certified, law, change in zip(short.certified, short.law, realised, strict=True):
        assert not certified or change * law.item() > 0
    total = short.law + short.direction + short.logit + short.tilt
    full = law_budget(bandit.rewards, fields, *bandit.groups)
    assert ((total - full.realised).abs() <= chain_rounding(bandit, fields, short.scale)).all()


def test_a_small_step_along_the_score_is_certified() -> None:
    score = torch.tensor([0.0, 1.0, 3.0, -1.0], dtype=torch.float64)
    step = 1e-3 * score
    fields = ScoreFields(score, step, step, step, step, step)
    short = short_budget(score[:, None], fields, torch.zeros(4, dtype=torch.int64))
    assert short.sample_certified.tolist() == [True]
    assert short.certified.tolist() == [False]  # of a single prompt nothing is certain
    against = short_budget(-score[:, None], fields, torch.zeros(4, dtype=torch.int64))
    assert against.law.item() < 0
    assert against.sample_certified.tolist() == [True]


def test_what_holds_of_a_sample_is_not_certified_of_the_population() -> None:
    """A true covariance of +.002 at unit deviations, 32 × 16: its sign on a sample is a coin's."""
    rng, prompt = np.random.default_rng(0), torch.arange(32).repeat_interleave(16)
    on_sample = wrong = certified = 0
    for _ in range(100):
        score = torch.as_tensor(rng.normal(size=512))
        reward = 0.002 * score + torch.as_tensor(rng.normal(size=512))
        step = 1e-3 * score
        fields = ScoreFields(score, step, step, step, step, step - 5e-7)
        short = short_budget(reward[:, None], fields, prompt)
        on_sample += bool(short.sample_certified)
        wrong += bool(short.sample_certified) and short.law.item() < 0
        certified += bool(short.certified)
    assert on_sample >= 95
    assert abs(wrong - 47) < 4 * 5  # a fair coin's counting error of 100
    assert certified <= 2


def test_a_large_step_that_reverses_the_law_is_not_certified() -> None:
    """F4: along s exactly, so without a direction gap; the curvature of exp alone reverses it."""
    mass = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    score = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    reward = torch.tensor([0.0, 1.0, 0.2], dtype=torch.float64)[:, None]
    prompt = torch.zeros(3, dtype=torch.int64)
    log_ratio = tilt_log_ratio(score, 1.0, prompt, mass)
    fields = ScoreFields(score, score, score, score, score, log_ratio)
    short = short_budget(reward, fields, prompt, mass)
    assert short.law.item() > 0 > law_budget(reward, fields, prompt, mass).realised.item()
    assert not short.certified.any()


IRREGULAR = torch.tensor(
    [0.3, -0.7, 0.11, 0.05, 0.9, -0.2, 0.77, -0.3, 1 / 3, 2 / 3, -1 / 7], dtype=torch.float64
)
"""Eleven values: a constant listed eleven times does not centre to 0 exactly."""


@pytest.mark.parametrize("constant", [0.1, 0.3, 0.7, 1e8 + 0.1])
def test_a_constant_score_has_no_law(constant: float) -> None:
    """Its computed variance is rounding, not 0: regressing on it would give any c at all."""
    score = torch.full_like(IRREGULAR, constant)
    fields = ScoreFields(score, *[IRREGULAR] * 5)
    prompt = torch.zeros_like(IRREGULAR, dtype=torch.int64)
    assert law_budget(IRREGULAR, fields, prompt).scale.item() == 0
    assert short_budget(IRREGULAR, fields, prompt).scale.item() == 0


@pytest.mark.parametrize("constant", [0.1, 0.3, 0.7, 1e8 + 0.1])
def test_a_constant_reward_is_never_certified(constant: float) -> None:
    """No gap at all, and a law that is rounding: the tie is not decided by it."""
    tiny = 1e-20 * IRREGULAR  # e^x − 1 = x in float64
    prompt = torch.zeros_like(IRREGULAR, dtype=torch.int64)
    short = short_budget(torch.full_like(tiny, constant), ScoreFields(*[tiny] * 6), prompt)
    assert short.bound.item() == 0
    assert not short.certified.any()


def test_float32_fields_add_up_as_well_as_float64_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    fields = ScoreFields(*(torch.randn(64, generator=generator) for _ in range(6)))
    prompt = torch.arange(64) // 8
    bandit = Bandit(prompt, torch.randn(64, 2, generator=generator), fields.score, None, None)
    budget = law_budget(bandit.rewards, fields, prompt)
    total = torch.stack(list(budget.terms.values())).sum(0)
    exact = ScoreFields(*(f.double() for f in fields))
    bandit = bandit._replace(rewards=bandit.rewards.double())
    assert ((total - budget.realised).abs() <= chain_rounding(bandit, exact, budget.scale)).all()


@given(bandits(exact=True))
def test_deviation_is_the_root_mean_variance(bandit: Bandit) -> None:
    for column, seen in zip(
        bandit.rewards.T, deviation(bandit.rewards, *bandit.groups), strict=True
    ):
        expected = mean_covariance(column, column, *bandit.groups)
        allowed = tolerance(column, column, bandit.prompt, bandit.prompt_mass)
        # squaring the root rounds twice
        assert abs(seen.item() ** 2 - expected) <= allowed + float(rounding(float(expected), 4))

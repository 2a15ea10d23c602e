"""φ and the remainder bounds of T5: accurate, sharp, and never exceeded."""

import math
from fractions import Fraction

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Bandit, bandits

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF
from covlaw.theory.tilts.remainder import THIRD_CUMULANT, phi, remainder_bounds

EXTREMAL = (3 - math.sqrt(3)) / 6


def exact_phi(b: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        return mpmath.hyp1f1(1, 3, mpmath.mpf(b)) / 2


@given(st.floats(-700, 700))
def test_phi_is_accurate_to_a_few_roundings_everywhere(b: float) -> None:
    # the worst place is b = 0.1, just above the series: expm1 rounds 0.1, and 0.005 is left of it
    computed = float(phi(torch.tensor(b, dtype=torch.float64)))
    assert abs(computed - exact_phi(b)) <= 44 * UNIT_ROUNDOFF * exact_phi(b)


def test_phi_increases_from_one_half_at_zero() -> None:
    values = phi(torch.linspace(-50, 50, 10_001, dtype=torch.float64))
    assert bool((values.diff() > 0).all())
    assert float(phi(torch.zeros((), dtype=torch.float64))) == 0.5


def test_third_cumulant_constant_is_attained_by_the_extremal_bernoulli() -> None:
    p = EXTREMAL
    assert math.isclose(p * (1 - p) * (1 - 2 * p), THIRD_CUMULANT, rel_tol=8 * UNIT_ROUNDOFF)


@pytest.mark.parametrize(
    ("eta", "ratio"), [(1.0, 0.9026), (0.1, 0.99915), (0.01, 0.9999916), (0.001, 0.99999992)]
)
def test_first_bound_is_attained_as_the_tilt_vanishes(eta: float, ratio: float) -> None:
    p, arms = EXTREMAL, torch.tensor([0.0, 1.0], dtype=torch.float64)
    mass = torch.tensor([1 - p, p], dtype=torch.float64)
    bounds = remainder_bounds(arms, arms, eta, torch.zeros(2, dtype=torch.int64), mass)
    with mpmath.workdps(40):
        grown = mpmath.mpf(p) * mpmath.e ** mpmath.mpf(eta)
        change = grown / (1 - mpmath.mpf(p) + grown) - mpmath.mpf(p)
        remainder = abs(change - mpmath.mpf(eta) * mpmath.mpf(p) * (1 - mpmath.mpf(p)))
    digits = len(str(ratio)) - 2
    assert round(float(remainder) / float(bounds.ranges), digits) == ratio
    assert float(remainder) <= float(bounds.variance)


def exact_remainder(bandit: Bandit, column: int, eta: float) -> mpmath.mpf:
    """|Δ − η·C| in 80 digits, from the floats as rationals."""
    assert bandit.mass is not None
    prompts = sorted(set(bandit.prompt.tolist()))
    share = [Fraction(1)] * len(prompts)
    if bandit.prompt_mass is not None:
        share = [Fraction(float(w)) for w in bandit.prompt_mass]
    total = mpmath.mpf(0)
    with mpmath.workdps(80):
        for weight, x in zip(share, prompts, strict=True):
            rows = [i for i, y in enumerate(bandit.prompt.tolist()) if y == x]
            p = [mpmath.mpf(float(bandit.mass[i])) for i in rows]
            r = [mpmath.mpf(float(bandit.rewards[i, column])) for i in rows]
            s = [mpmath.mpf(float(bandit.score[i])) for i in rows]
            p = [q / sum(p) for q in p]
            total += mpmath.mpf(float(weight / sum(share))) * _one_prompt(p, r, s, eta)
    return abs(total)


def _one_prompt(
    p: list[mpmath.mpf], r: list[mpmath.mpf], s: list[mpmath.mpf], eta: float
) -> mpmath.mpf:
    def mean(weights: list[mpmath.mpf], values: list[mpmath.mpf]) -> mpmath.mpf:
        return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

    tilted = [q * mpmath.e ** (eta * v) for q, v in zip(p, s, strict=True)]
    products = [a * b for a, b in zip(r, s, strict=True)]
    covariance = mean(p, products) - mean(p, r) * mean(p, s)
    return mean(tilted, r) - mean(p, r) - eta * covariance


@st.composite
def modest_bandits(draw: st.DrawFn) -> Bandit:
    """Bandits on a scale where e^{ηs} is representable."""
    bandit = draw(bandits())
    score = bandit.score / bandit.score.abs().max().clamp(min=1.0)
    return bandit._replace(score=score, rewards=bandit.rewards[:, :1])


@given(modest_bandits(), st.floats(0.01, 30), st.sampled_from([-1, 1]))
def test_no_policy_exceeds_either_bound(bandit: Bandit, size: float, sign: int) -> None:
    eta = sign * size
    bounds = remainder_bounds(bandit.rewards, bandit.score, eta, *bandit.groups)
    remainder = exact_remainder(bandit, 0, eta)
    slack = 1 + 1000 * UNIT_ROUNDOFF  # the bounds' own roundings, a few hundred
    # centring a reward of size |r| in the bounds may round R, and masses their sum
    largest = float(bandit.rewards.abs().max()) * UNIT_ROUNDOFF
    assert remainder <= float(bounds.ranges) * slack + largest * eta**2
    assert remainder <= float(bounds.variance) * slack + largest * eta**2


def test_without_the_modulus_the_second_bound_fails_for_negative_tilts() -> None:
    mass = torch.tensor([0.999, 0.001], dtype=torch.float64)
    reward, score = torch.tensor([0.0, 1.0]), torch.tensor([0.0, -1.0])
    groups = (torch.zeros(2, dtype=torch.int64), mass)
    bound = remainder_bounds(reward, score, -6.0, *groups).variance
    without = bound * phi(torch.tensor(-6.0, dtype=torch.float64)) / phi(torch.tensor(6.0))
    remainder = abs(0.001 * math.e**6 / (0.999 + 0.001 * math.e**6) - 0.001 - 6 * 0.001 * 0.999)
    assert 10 * float(without) < remainder <= float(bound)


def test_samples_are_weighted_equally() -> None:
    prompt = torch.tensor([3, 3, 3, 7, 7])
    reward, score = torch.tensor([1.0, 0, 2, 5, 4]), torch.tensor([0.0, 1, 3, 2, 2.5])
    mass = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2], dtype=torch.float64)
    sampled = remainder_bounds(reward, score, 0.3, prompt)
    enumerated = remainder_bounds(reward, score, 0.3, prompt, mass)
    torch.testing.assert_close(torch.stack(sampled), torch.stack(enumerated))


def test_a_reward_that_is_not_finite_is_refused() -> None:
    with pytest.raises(CovlawError, match="row 1"):
        remainder_bounds(
            torch.tensor([0.0, math.nan]), torch.tensor([0.0, 1]), 0.1, torch.tensor([0, 0])
        )

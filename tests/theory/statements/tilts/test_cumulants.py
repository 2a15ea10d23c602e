"""Joint cumulants against their definition by set partitions, and the series they make (T3)."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import Bandit, bandits
from sympy.utilities.iterables import multiset_partitions

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements.tilts._cumulants import joint_cumulants, series_tail
from covlaw.theory.tilts.remainder import THIRD_CUMULANT

ORDERS = 4
ONE = torch.zeros(2, dtype=torch.int64)
COIN = torch.tensor([0.0, 1.0], dtype=torch.float64)


def masses(p: float) -> torch.Tensor:
    return torch.tensor([1 - p, p], dtype=torch.float64)


def cumulant(weights: list[Fraction], r: list[Fraction], s: list[Fraction], order: int) -> Fraction:
    """Σ over set partitions of (−1)^{b−1}(b − 1)!·Π E(block), in rationals; 0 stands for r."""

    def mean(block: list[int]) -> Fraction:
        power, with_r = len([i for i in block if i]), 0 in block
        rows = zip(weights, r, s, strict=True)
        return sum((w * (a if with_r else 1) * b**power for w, a, b in rows), Fraction(0))

    total = Fraction(0)
    for blocks in multiset_partitions(list(range(order + 1))):
        sign = (-1) ** (len(blocks) - 1) * math.factorial(len(blocks) - 1)
        total += sign * math.prod([mean(block) for block in blocks], start=Fraction(1))
    return total


def expected(bandit: Bandit, column: int, order: int) -> tuple[Fraction, Fraction]:
    """E_x κ_x(r, s^{(n)}) and E_x R_x S_x^n, exactly until the last rounding."""
    value, size = Fraction(0), Fraction(0)
    prompts = sorted(set(bandit.prompt.tolist()))
    outer = [1.0] * len(prompts) if bandit.prompt_mass is None else bandit.prompt_mass.tolist()
    for x, share in zip(prompts, outer, strict=True):
        assert bandit.mass is not None
        rows = [k for k in (bandit.prompt == x).nonzero()[:, 0].tolist() if bandit.mass[k] > 0]
        raw = [Fraction(float(bandit.mass[k])) for k in rows]
        columns = (bandit.rewards[:, column], bandit.score)
        r, s = ([Fraction(float(values[k])) for k in rows] for values in columns)
        weight = Fraction(share) / sum(map(Fraction, outer))
        value += weight * cumulant([w / sum(raw) for w in raw], r, s, order)
        size += weight * (max(r) - min(r)) * (max(s) - min(s)) ** order
    return value, size


@given(bandits(max_arms=4))
def test_the_recursion_is_the_sum_over_set_partitions(bandit: Bandit) -> None:
    # scaled to score range 1: 1e60⁴ would overflow
    scale = float(bandit.score.abs().max())
    score = bandit.score / scale if scale > 0 else bandit.score
    bandit = bandit._replace(score=score)
    computed = joint_cumulants(bandit.rewards, score, ORDERS, bandit.groups)
    for order in range(1, ORDERS + 1):
        for column in range(bandit.rewards.shape[1]):
            value, size = expected(bandit, column, order)
            # terms: at most 12·R·S⁴ (T3's statement); each carries the centring's roundings
            error = 12 * 64 * 16 * UNIT_ROUNDOFF * float(size)
            assert abs(float(computed[order - 1, column]) - float(value)) <= error


@given(bandits())
def test_the_first_two_orders_are_the_covariance_and_that_with_the_squared_score(
    bandit: Bandit,
) -> None:
    computed = joint_cumulants(bandit.rewards, bandit.score, 1, bandit.groups)
    law = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups).estimate
    scale = bandit.rewards.abs().amax(0) * bandit.score.abs().max()
    assert bool(((computed[0] - law).abs() <= 1024 * UNIT_ROUNDOFF * scale).all())


@pytest.mark.parametrize("p", [0.5, (3 - math.sqrt(3)) / 6, 0.01])
def test_cumulants_of_a_coin(p: float) -> None:
    q, v = 1 - p, p * (1 - p)
    third, fourth = v * (q - p), v * (1 - 6 * v)
    computed = joint_cumulants(COIN, COIN, 3, Grouping(ONE, masses(p)))[:, 0]
    expect = torch.tensor([v, third, fourth], dtype=torch.float64)
    torch.testing.assert_close(computed, expect, rtol=0, atol=64 * UNIT_ROUNDOFF)


def test_the_extremal_coin_attains_the_third_cumulant_bound() -> None:
    computed = joint_cumulants(COIN, COIN, 2, Grouping(ONE, masses((3 - math.sqrt(3)) / 6)))[1, 0]
    assert computed.item() == pytest.approx(THIRD_CUMULANT, rel=64 * UNIT_ROUNDOFF)
    assert f"{THIRD_CUMULANT:.10f}" == "0.0962250449"


def test_a_fair_coin_has_its_zeros_on_the_circle_of_radius_pi() -> None:
    fair = abs(0.5 * (1 + np.exp(1j * math.pi)))
    assert fair < 4 * UNIT_ROUNDOFF
    # and its coefficients fall as π^−n: tanh(η/2)/2 has the ratio π² every second order
    terms = joint_cumulants(COIN, COIN, 30, Grouping(ONE, masses(0.5)))[:, 0]
    terms = terms / torch.tensor([float(math.factorial(n)) for n in range(1, 31)]).double()
    odd = terms[::2].abs()
    assert float((odd[-2] / odd[-1]).sqrt()) == pytest.approx(math.pi, rel=1e-6)


@pytest.mark.parametrize("strength", [0.1, 1.0, 2.0, -2.9])
@pytest.mark.parametrize("terms", [1, 4, 20])
def test_the_tail_bounds_what_the_partial_sums_of_a_fair_coin_miss(
    strength: float, terms: int
) -> None:
    cumulants = joint_cumulants(COIN, COIN, terms, Grouping(ONE, masses(0.5)))[:, 0]
    partial = sum(
        strength**n / math.factorial(n) * float(k) for n, k in enumerate(cumulants, start=1)
    )
    missed = abs(math.tanh(strength / 2) / 2 - partial)
    bound = float(series_tail(torch.ones(()).double(), strength, terms))
    assert missed <= bound + 8 * UNIT_ROUNDOFF
    assert abs(strength) > 1 or bound < 1


def test_no_tail_bound_at_the_radius_and_beyond() -> None:
    one = torch.ones(3).double()
    assert bool(series_tail(one, math.pi, 1000).isinf().all())
    assert bool(series_tail(one, 0.99 * math.pi, 1000).isfinite().all())


def test_orders_below_one_are_refused() -> None:
    with pytest.raises(CovlawError, match="orders is 0"):
        joint_cumulants(COIN, COIN, 0, Grouping(ONE, masses(0.5)))


def test_samples_are_taken_as_their_empirical_distribution() -> None:
    sampled = joint_cumulants(COIN, COIN, 3, Grouping(ONE))
    torch.testing.assert_close(sampled, joint_cumulants(COIN, COIN, 3, Grouping(ONE, masses(0.5))))

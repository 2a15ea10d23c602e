"""The PL factors: quoted values, ranges that join, multipliers that are allowed, bad input."""

import math

import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.pl_rates import (
    classic_rate,
    drift_bound,
    improved_rate,
    noise_floor,
    noisy_gap_bound,
)
from covlaw.theory.statements.convergence import _symbolic_pl as symbolic

RATIOS = st.floats(1e-6, 1.0)
LENGTHS = st.floats(0.0, 2.0)


def improved(mu: float, smoothness: float, step: float) -> float:
    return improved_rate(mu, smoothness, step).item()


def test_quoted_values() -> None:
    assert improved(0.2, 1, 1) == pytest.approx(8 / 11)  # .7273
    assert improved(0.2, 1, 0.5) == pytest.approx(0.833, abs=5e-4)
    assert improved(0.2, 1, 0) == pytest.approx(1)  # a misplaced bracket gives 621/605
    assert noise_floor(1, 1, 0.3, 0.7).item() == pytest.approx(0.0617647, abs=5e-8)
    usual = 0.3 * 0.7 / 2  # γLσ²/(2μ)
    assert usual == pytest.approx(0.105)


def test_at_one_over_l_it_is_the_published_rate() -> None:
    for mu, smoothness in ((0.1, 1.0), (3.0, 7.0), (5.0, 5.0)):
        expected = (2 * smoothness - 2 * mu) / (2 * smoothness + mu)
        assert improved(mu, smoothness, 1 / smoothness) == pytest.approx(expected, abs=1e-15)


def test_small_mu_has_its_best_step_at_two_over_root_three() -> None:
    lengths = torch.linspace(0.5, 1.9, 14001, dtype=torch.float64)
    rates = improved_rate(1e-6, 1.0, lengths)
    assert lengths[rates.argmin()].item() == pytest.approx(2 / math.sqrt(3), abs=2e-4)
    assert (1 - rates.min()).item() == pytest.approx(1.5396e-6, rel=1e-4)


@given(RATIOS)
def test_ranges_join_continuously(mu: float) -> None:
    for edge in (1.0, math.sqrt(3)):
        below, above = improved(mu, 1, edge * (1 - 1e-12)), improved(mu, 1, edge * (1 + 1e-12))
        assert below == pytest.approx(above, abs=1e-10)


@given(RATIOS, LENGTHS)
def test_improved_is_between_the_quadratics_and_the_classic(mu: float, length: float) -> None:
    rate = improved(mu, 1, length)
    assert rate <= classic_rate(mu, 1, length).item() + 1e-15
    assert rate >= max((1 - mu * length) ** 2, (1 - length) ** 2) - 1e-14


@given(LENGTHS)
def test_both_are_exact_where_mu_is_l(length: float) -> None:
    for rate in (classic_rate, improved_rate):
        assert rate(1, 1, length).item() == pytest.approx((1 - length) ** 2, abs=1e-14)


@given(RATIOS, LENGTHS, st.sampled_from([1e-9, 1e9]))
def test_units_cancel(mu: float, length: float, unit: float) -> None:
    assert improved(mu * unit, unit, length / unit) == pytest.approx(improved(mu, 1, length))


@given(st.floats(1e-3, 1.0), st.floats(1e-3, 0.999))
def test_short_step_multipliers_are_not_negative(mu: float, length: float) -> None:
    root = math.sqrt(improved(mu, 1, length))
    slack = root - (1 - length)
    assert slack >= -1e-12
    first = 2 * root / (2 * root + mu * slack)
    assert first >= 0
    assert first * ((1 + 2 * length - length**2) - root * (1 - length)) >= -1e-12


@pytest.mark.parametrize(
    "residual",
    [
        lambda: symbolic.interpolation_residual(sp.Rational(1, 2)),
        lambda: symbolic.descent_residual(sp.Rational(1, 2)),
        lambda: symbolic.unit_step_residual((2 - 3 * symbolic.k) / (2 + symbolic.k)),
        lambda: symbolic.short_step_residual(1),
        lambda: symbolic.middle_step_residual(1 - symbolic.k * symbolic.g),
        lambda: symbolic.long_step_residual(-1),
    ],
    ids=["interpolation", "descent", "1/L", "short", "middle", "long"],
)
def test_mutated_proofs_leave_a_residual(residual) -> None:
    found = residual()
    point = {
        s: sp.Rational(3 + i, 7 + 2 * i) for i, s in enumerate(sorted(found.free_symbols, key=str))
    }
    assert sp.N(found.subs(point), 30) != 0


def test_noisy_bound_tends_to_the_floor_and_starts_at_the_gap() -> None:
    arguments = (0.1, 1.0, 1.2, 0.5)
    assert noisy_gap_bound(7.0, 0, *arguments).item() == 7.0
    far = noisy_gap_bound(7.0, 10_000, *arguments)
    torch.testing.assert_close(far, noise_floor(*arguments))


def test_drift_bound_unrolls_its_recursion() -> None:
    rates = torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64)
    drifts = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    bounds = drift_bound(torch.tensor(8.0, dtype=torch.float64), rates, drifts)
    assert bounds.tolist() == [5.0, 1.25, 3.25]


@pytest.mark.parametrize("rate", [classic_rate, improved_rate])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 1.0), "use 0 < μ ≤ L"),
        ((2.0, 1.0, 1.0), "use 0 < μ ≤ L"),
        ((float("nan"), 1.0, 1.0), "use 0 < μ ≤ L"),
        ((0.5, 1.0, -0.1), "use 0 ≤ γ ≤ 2/L"),
        ((0.5, 2.0, 1.1), "use 0 ≤ γ ≤ 2/L"),
    ],
)
def test_refuses_what_has_no_rate(rate, arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        rate(*arguments)


@pytest.mark.parametrize(("step", "variance"), [(2.0, 1.0), (0.5, -1.0)])
def test_no_floor_without_contraction_or_with_negative_variance(
    step: float, variance: float
) -> None:
    with pytest.raises(CovlawError, match="shorten the step"):
        noise_floor(0.5, 1.0, step, variance)

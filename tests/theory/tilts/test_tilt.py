"""π_η/π = e^{ηs}/E e^{ηs}, against 60-digit arithmetic."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from referee import rows_by_prompt, shares
from strategies import Bandit, bandits

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.tilt import tilt_log_ratio

ETAS = st.sampled_from([-3.0, -0.1, 0.0, 1e-8, 0.7, 40.0])


def by_definition(bandit: Bandit, eta: float, rows: list[int]) -> list[mpmath.mpf]:
    with mpmath.workdps(60):
        exponents = [mpmath.mpf(eta) * bandit.score[row].item() for row in rows]
        mass = shares(len(rows), bandit.mass[rows])
        alive = [e for e, m in zip(exponents, mass, strict=True) if m]
        top = max(alive)
        normaliser = mpmath.log(
            mpmath.fsum(
                mpmath.mpf(m.numerator) / m.denominator * mpmath.exp(e - top)
                for e, m in zip(exponents, mass, strict=True)
                if m
            )
        )
        return [e - top - normaliser for e in exponents]


@given(bandits(exact=True), ETAS)
def test_log_ratio_is_exact_for_any_score(bandit: Bandit, eta: float) -> None:
    seen = tilt_log_ratio(bandit.score, eta, bandit.prompt, bandit.mass)
    for rows in rows_by_prompt(bandit.prompt).values():
        expected = by_definition(bandit, eta, rows)
        alive = [row for row in rows if bandit.mass[row] > 0]
        span = float(bandit.score[alive].max() - bandit.score[alive].min())
        # the log of the normaliser lies in [log π(top), 0]: its own size, and its sum's roundings
        normaliser = 1 - float(bandit.mass[alive].min().log())
        for row, value in zip(rows, expected, strict=True):
            if bandit.mass[row] > 0:
                allowed = rounding(abs(eta) * span + normaliser, 4 * len(rows) + 8)
                assert abs(seen[row].item() - value) <= float(allowed)


@given(bandits(exact=True), ETAS)
def test_tilted_masses_sum_to_one(bandit: Bandit, eta: float) -> None:
    log_ratio = tilt_log_ratio(bandit.score, eta, bandit.prompt, bandit.mass)
    tilted = bandit.mass * log_ratio.exp()
    for rows in rows_by_prompt(bandit.prompt).values():
        # one rounding of the exponent |log ρ| is |log ρ|·ρ of the ratio, and ρ·π ≤ 1
        size = float((tilted[rows] * (1 + log_ratio[rows].abs())).sum())
        allowed = rounding(size + 1, 8 * len(rows) + 16)
        assert abs(tilted[rows].sum() - bandit.mass[rows].sum()) <= allowed


@given(bandits(exact=True), ETAS, st.sampled_from([1e8, -(2.0**40)]))
def test_a_shift_of_the_score_cancels(bandit: Bandit, eta: float, shift: float) -> None:
    coarse = torch.round(bandit.score.clamp(-9, 9) * 4) / 4  # so that the shift itself is exact
    seen = tilt_log_ratio(coarse + shift, eta, bandit.prompt, bandit.mass)
    assert torch.equal(seen, tilt_log_ratio(coarse, eta, bandit.prompt, bandit.mass))


@pytest.mark.parametrize("eta", [-40.0, 40.0])
def test_strong_tilts_of_either_sign_do_not_overflow(eta: float) -> None:
    score, mass = torch.tensor([0.0, 100.0]), torch.tensor([0.5, 0.5])
    seen = tilt_log_ratio(score, eta, torch.zeros(2, dtype=torch.int64), mass)
    assert abs(float(seen.max()) - math.log(2)) <= rounding(1.0, 4)  # all mass on one completion
    assert abs(float(seen.max() - seen.min()) - 4000) <= rounding(4000.0, 4)


def test_masses_that_sum_to_one_only_roughly_are_normalised() -> None:
    score, mass = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5 + 5e-7], dtype=torch.float64)
    tilted = mass * tilt_log_ratio(score, 2.0, torch.zeros(2, dtype=torch.int64), mass).exp()
    assert abs(tilted.sum() - mass.sum()) <= rounding(4.0, 16)


def test_scores_without_mass_are_not_read() -> None:
    score, mass = torch.tensor([1.0, torch.nan, 0.0]), torch.tensor([0.5, 0.0, 0.5])
    seen = tilt_log_ratio(score, 1.0, torch.zeros(3, dtype=torch.int64), mass)
    assert torch.isfinite(seen).all()


@pytest.mark.parametrize(
    ("score", "mass", "message"),
    [
        ([1.0, 2.0], [0.5, 0.4], r"mass of prompt 3 sums to 0\.9, not 1: list every completion"),
        ([1.0], [0.5, 0.5], r"got \(1,\) scores for 2 completions"),
    ],
)
def test_bad_input_names_culprit_and_remedy(
    score: list[float], mass: list[float], message: str
) -> None:
    masses = torch.tensor(mass, dtype=torch.float64)
    with pytest.raises(CovlawError, match=message):
        tilt_log_ratio(torch.tensor(score), 1.0, torch.tensor([3, 3]), masses)

"""T8: Cov_old(r, ρ) is the change of the mean reward, for any two policies."""

from fractions import Fraction

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from referee import mean_covariance, rows_by_prompt, shares, tolerance
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import exact_change

mpmath.mp.dps = 60


def change_by_enumeration(rewards: Tensor, new: Tensor, bandit: Bandit) -> Fraction:
    """E_x[E_new r − E_old r], from both policies' probabilities alone."""
    groups, total = rows_by_prompt(bandit.prompt), Fraction(0)
    prompt_mass = shares(len(groups), bandit.prompt_mass)
    for rows, share in zip(groups.values(), prompt_mass, strict=True):
        old_mass, new_mass = (shares(len(rows), m[rows]) for m in (bandit.mass, new))
        for row, old_p, new_p in zip(rows, old_mass, new_mass, strict=True):
            total += share * (new_p - old_p) * Fraction(rewards[row].item())
    return total


@st.composite
def policy_pairs(draw: st.DrawFn) -> tuple[Bandit, Tensor, Tensor]:
    """A bandit, a new policy on the same support and the log-ratio to it."""
    bandit = draw(bandits(exact=True))
    factors = draw(
        st.lists(st.sampled_from([0.0, 1e-3, 0.7, 1.0, 1.5, 80.0]), min_size=18, max_size=18)
    )
    new = bandit.mass * torch.tensor(factors[: bandit.prompt.shape[0]], dtype=torch.float64)
    log_ratio = torch.zeros_like(new)
    for rows in rows_by_prompt(bandit.prompt).values():
        if new[rows].sum() == 0:
            new[rows] = bandit.mass[rows]
        old_mass, new_mass = (shares(len(rows), m[rows]) for m in (bandit.mass, new))
        for row, old_p, new_p in zip(rows, old_mass, new_mass, strict=True):
            if old_p > 0:
                log_ratio[row] = float(mpmath.log(mpf(new_p / old_p))) if new_p else -torch.inf
    return bandit, new, log_ratio


def mpf(value: Fraction) -> mpmath.mpf:
    return mpmath.mpf(value.numerator) / value.denominator


@given(policy_pairs())
def test_equals_the_change_of_the_mean_reward(case: tuple[Bandit, Tensor, Tensor]) -> None:
    bandit, new, log_ratio = case
    seen = exact_change(bandit.rewards, log_ratio, *bandit.groups)
    signal = torch.expm1(log_ratio)
    finite = torch.where(torch.isfinite(log_ratio), log_ratio, 0.0)
    # one rounding of log ρ moves ρ by |log ρ|·ρ roundings
    sensitivity = float(((finite.abs() + 4) * finite.exp()).max())
    for j, column in enumerate(bandit.rewards.T):
        spread = float(column.max() - column.min())
        allowed = tolerance(column, signal, bandit.prompt, bandit.prompt_mass)
        allowed += float(rounding(sensitivity * spread, 4))
        expected = change_by_enumeration(column, new, bandit)
        assert abs(seen.estimate[j].item() - expected) <= allowed


@given(bandits(exact=True) | bandits(exact=False), st.sampled_from([1e-40, 1e-12, 1.0]))
def test_small_ratios_keep_their_digits(bandit: Bandit, scale: float) -> None:
    """Fails with exp in place of expm1: ρ − 1 is then lost below 1e-16."""
    size = float(bandit.score.abs().max())
    log_ratio = scale * bandit.score / size if size else bandit.score
    signal = torch.tensor([float(mpmath.expm1(x)) for x in log_ratio.tolist()], dtype=torch.float64)
    seen = exact_change(bandit.rewards, log_ratio, *bandit.groups)
    for j, column in enumerate(bandit.rewards.T):
        spread = float((column.max() - column.min()) * signal.abs().max())
        allowed = tolerance(column, signal, bandit.prompt, bandit.prompt_mass)
        allowed += 2 * float(rounding(spread, 8))  # expm1 itself; K/(K−1) ≤ 2
        expected = mean_covariance(column, signal, *bandit.groups)
        assert abs(seen.estimate[j].item() - expected) <= allowed


def test_an_impossible_completion_has_ratio_zero() -> None:
    prompt, mass = torch.zeros(2, dtype=torch.int64), torch.tensor([0.5, 0.5])
    log_ratio = torch.tensor([2.0, 0.0], dtype=torch.float64).log()
    seen = exact_change(torch.tensor([[3.0], [1.0]]), log_ratio, prompt, mass)
    assert abs(seen.estimate.item() - 1) <= rounding(3.0, 16)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 800.0])
def test_a_ratio_that_is_not_finite_is_refused(bad: float) -> None:
    prompt = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(CovlawError, match=r"log_ratio at row 1 is .*check the log-probs"):
        exact_change(torch.rand(3, 1), torch.tensor([0.0, bad, 0.0]), prompt)

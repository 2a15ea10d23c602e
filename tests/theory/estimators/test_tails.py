"""Pareto k̂ of importance ratios: known tails, another estimator, and what is too heavy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.tails import (
    PRIOR,
    Tail,
    importance_tail,
    largest_shape,
    pareto_shape,
    truncated_log_ratio,
)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3, 0.7, 1.2])
def test_the_shape_of_a_known_tail_is_found(shape: float) -> None:
    """The maximum-likelihood estimate has standard error (1 + k)/√n; the prior's bias is added."""
    n = 5000
    x = stats.genpareto.rvs(shape, size=n, random_state=3)
    found = pareto_shape(torch.tensor(x))
    allowed = 4 * (1 + abs(shape)) / math.sqrt(n) + PRIOR * abs(0.5 - shape) / n
    assert abs(found - shape) < allowed


def test_it_agrees_with_maximum_likelihood_beyond_the_prior() -> None:
    x = stats.genpareto.rvs(0.5, size=2000, random_state=4)
    likeliest, _, _ = stats.genpareto.fit(x, floc=0)
    # two efficient estimates differ by o(1/√n): a tenth of a standard error
    assert abs(pareto_shape(torch.tensor(x)) - likeliest) < 0.1 * 1.5 / math.sqrt(2000) + 0.005


def test_ratios_of_gaussians_are_flagged_where_their_variance_is_infinite() -> None:
    """Sampling N(0,1) for N(0,σ²): ρ has tail index k = 1 − 1/σ²; 15/16 at σ = 4."""
    x = torch.tensor(np.random.default_rng(5).normal(size=100_000))

    def tail(scale: float):
        return importance_tail(-(x**2) / (2 * scale**2) + x**2 / 2 - math.log(scale))

    assert tail(4.0).heavy
    assert not tail(1.1).heavy
    assert tail(1.1).effective > 50_000 > tail(4.0).effective


def test_scale_does_not_matter_and_a_constant_has_no_tail() -> None:
    log = torch.randn(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, shifted = importance_tail(log), importance_tail(log + 500.0)
    # 500 + x keeps x to 500·2^-53; the estimate is smooth in x
    assert found.shape == pytest.approx(shifted.shape, abs=1e-9)
    assert found.effective == pytest.approx(shifted.effective, rel=1e-9)
    still = importance_tail(torch.zeros(64))
    assert math.isnan(still.shape)
    assert still.effective == 64
    assert not still.heavy


def test_the_effective_size_is_worked_out_by_hand() -> None:
    assert importance_tail(torch.tensor([1.0, 2.0, 3.0]).log()).effective == pytest.approx(36 / 14)


def test_few_samples_ask_for_lighter_tails() -> None:
    assert largest_shape(100) == 0.5
    assert largest_shape(10_000) == 0.7
    assert largest_shape(256) == pytest.approx(1 - 1 / math.log10(256))


def test_a_shape_above_its_limit_is_no_warning_where_the_ratios_hardly_differ() -> None:
    """Two real audits of 32 ratios: k̂ .350 against .336, and 31.8 effective ones."""
    limit = largest_shape(32)
    assert limit == pytest.approx(0.336, abs=5e-4)
    assert not Tail(0.350, 31.8, limit, 32).heavy
    assert Tail(0.350, 15.9, limit, 32).heavy


def test_truncation_bounds_ratios_at_root_n_times_their_mean() -> None:
    ratio = torch.tensor([1.0] * 8 + [100.0], dtype=torch.float64)
    found = truncated_log_ratio(ratio.log()).exp()
    # a logarithm and an exponential of values below 100
    assert found[:8].tolist() == pytest.approx([1.0] * 8, rel=1e-14)
    assert float(found[8]) == pytest.approx(3 * 12.0, rel=1e-14)


def test_bad_ratios_are_refused() -> None:
    for bad in ([], [math.nan], [math.inf]):
        with pytest.raises(CovlawError, match="log_ratio"):
            importance_tail(torch.tensor(bad))

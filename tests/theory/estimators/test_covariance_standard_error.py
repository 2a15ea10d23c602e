"""Sampled covariances are unbiased, and their standard errors, clustered by prompt, are honest."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from referee import covariances
from scipy.stats import norm
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance

POLICY = (0.1, 0.2, 0.3, 0.4)
REWARD = (1.0, 0.0, 2.0, 0.5)
SCORE = (0.0, 1.0, 1.5, -1.0)
COMPLETIONS = 3
ERROR_RATE = 1e-4
"""Chance that a true claim fails on another seed (each test fixes its own)."""
Z = norm.isf(ERROR_RATE / 2)


class Moments(NamedTuple):
    """Of one prompt's estimate over all of its samples."""

    mean: float
    variance: float
    skewness: float
    excess: float


def all_samples() -> tuple[Tensor, Tensor]:
    """Every sample of K completions (S, K) with its probability (S,)."""
    samples = torch.tensor(list(itertools.product(range(4), repeat=COMPLETIONS)))
    return samples, torch.tensor(POLICY, dtype=torch.float64)[samples].prod(1)


def moments() -> Moments:
    samples, probability = all_samples()
    x, p = estimates(samples).per_prompt[:, 0].numpy(), probability.numpy()
    mean = p @ x
    second, third, fourth = (p @ (x - mean) ** n for n in (2, 3, 4))
    return Moments(mean, second, third / second**1.5, fourth / second**2 - 3)


def estimates(samples: Tensor, prompt_mass: Tensor | None = None) -> Covariance:
    """The estimator with one sample of K completions a prompt."""
    prompts = torch.arange(samples.shape[0]).repeat_interleave(samples.shape[1])
    rewards, score = (
        torch.tensor(t, dtype=torch.float64)[samples.flatten()] for t in (REWARD, SCORE)
    )
    return within_prompt_covariance(rewards[:, None], score, prompts, None, prompt_mass)


def simulate(prompts: int, runs: int, prompt_mass: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`(estimate, standard error)` of many sampled batches, (runs,) each."""
    rng = np.random.default_rng(20)
    drawn = rng.choice(4, p=POLICY, size=(runs, prompts, COMPLETIONS))
    seen = [estimates(torch.as_tensor(batch), prompt_mass) for batch in drawn]
    return torch.cat([s.estimate for s in seen]), torch.cat([s.standard_error for s in seen])


def test_mean_over_every_possible_sample_is_the_population_covariance() -> None:
    samples, probability = all_samples()
    table = torch.tensor([REWARD, SCORE], dtype=torch.float64)
    prompt, mass = torch.zeros(4, dtype=torch.int64), torch.tensor(POLICY, dtype=torch.float64)
    [expected] = covariances(table[0], table[1], prompt, mass)
    error = estimates(samples, probability).estimate.item() - float(expected)
    assert abs(error) <= rounding(max(REWARD) * max(SCORE), 16 * samples.shape[0])


def test_squared_standard_error_is_unbiased() -> None:
    runs, prompts = 1500, 12
    _, error = simulate(prompts, runs)
    square = error.square()
    allowed = Z * float(square.std()) / runs**0.5
    truth = moments().variance / prompts
    assert abs(float(square.mean()) - truth) <= allowed
    # the control: rows taken as independent, var(product)/N, is refuted
    naive = truth * naive_ratio()
    assert abs(float(square.mean()) - naive) > allowed


def naive_ratio() -> float:
    """Expected var(centred product)/(P·K) over the true variance, by enumeration."""
    samples, probability = all_samples()
    r, s = (torch.tensor(t, dtype=torch.float64)[samples] for t in (REWARD, SCORE))
    product = (r - r.mean(1, keepdim=True)) * (s - s.mean(1, keepdim=True))
    variance = probability @ product.square().mean(1) - (probability @ product.mean(1)) ** 2
    return float(variance / COMPLETIONS) / moments().variance


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    runs, prompts, level = 1500, 48, 0.9
    estimate, error = simulate(prompts, runs)
    z = norm.isf((1 - level) / 2)
    covered = float(((estimate - moments().mean).abs() <= z * error).double().mean())
    monte_carlo = Z * (level * (1 - level) / runs) ** 0.5
    assert abs(covered - level) <= monte_carlo + abs(edgeworth(z, prompts))


def edgeworth(z: float, prompts: int) -> float:
    """Coverage error of a Studentised mean to order 1/P (Hall 1992, eq. 3.30)."""
    m = moments()
    q = z * (
        m.excess / 12 * (z**2 - 3) - m.skewness**2 / 18 * (z**4 + 2 * z**2 - 3) - (z**2 + 3) / 4
    )
    return float(2 * q * norm.pdf(z) / prompts)


@pytest.mark.parametrize("weights", [(0.9, 0.05, 0.05), (0.98, 0.02), (0.4, 0.3, 0.2, 0.1)])
def test_heavy_prompts_do_not_make_the_error_too_small(weights: tuple[float, ...]) -> None:
    runs, mass = 1500, torch.tensor(weights, dtype=torch.float64)
    estimate, error = simulate(len(weights), runs, mass)
    truth = moments().variance * float(mass.square().sum())
    square = error.square()
    allowed = Z * float(square.std()) / runs**0.5
    assert truth - float(square.mean()) <= allowed
    # at most twice the truth: the jackknife's factor with P prompts is 2(P−1)/P
    count = len(weights)
    assert float(square.mean()) <= 2 * (count - 1) / count * truth + allowed
    spread = float(estimate.var())
    assert abs(spread - truth) <= Z * truth * ((moments().excess + 2) / runs) ** 0.5


def test_a_single_prompt_has_no_standard_error() -> None:
    seen = estimates(torch.tensor([[0, 1, 2]]))
    assert torch.isnan(seen.standard_error).all()
    assert torch.isfinite(seen.estimate).all()
    alone = estimates(torch.tensor([[0, 1, 2], [1, 1, 3]]), torch.tensor([1.0, 0.0]))
    assert torch.isnan(alone.standard_error).all()


def test_prompts_of_probability_zero_do_not_count() -> None:
    samples = torch.tensor([[0, 1, 2], [1, 1, 3], [2, 0, 0]])
    with_zero = estimates(samples, torch.tensor([0.75, 0.25, 0.0]))
    without = estimates(samples[:2], torch.tensor([0.75, 0.25]))
    assert torch.equal(with_zero.estimate, without.estimate)
    assert torch.equal(with_zero.standard_error, without.standard_error)

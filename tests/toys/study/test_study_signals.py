"""Exact normalisers are those of `theory.advantages` with endless samples."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import SIGNALS as COVARIANCE_SIGNALS
from covlaw.theory.estimators.advantages import NORMALISERS, group_advantage
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.signals import SAMPLED, SIGNALS
from covlaw.toys.study.worlds import WORLDS

PROMPTS, ARMS, SAMPLES = 3, 6, 12


@cache
def ensemble() -> PolicyEnsemble:
    world = WORLDS["bandit"]
    return world.build(world.cells[0], (0,))


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each arm is sampled (P, K), at least once, and scores (N,) with ties."""
    rng = np.random.default_rng(seed)
    more = rng.multinomial(SAMPLES - ARMS, rng.dirichlet(np.ones(ARMS), size=PROMPTS))
    scores = rng.integers(-3, 4, size=PROMPTS * ARMS).astype(float)
    return torch.as_tensor(1 + more), torch.as_tensor(scores)


@pytest.mark.parametrize("name", SIGNALS)
@given(seed=st.integers(0, 10**6))
def test_listing_every_completion_by_its_frequency_is_sampling_it(name: str, seed: int) -> None:
    """Repeat each arm as often as its probability says: only Bessel's correction differs."""
    counts, score = drawn(seed)
    rows = torch.arange(PROMPTS * ARMS).repeat_interleave(counts.flatten())
    sampled = group_advantage(score[rows], rows // ARMS, SAMPLED[name])
    exact = SIGNALS[name](ensemble(), score[None], counts.double().flatten()[None] / SAMPLES)[0]
    n = PROMPTS * SAMPLES
    bessel = {
        "raw": 1.0,
        "grpo": (SAMPLES / (SAMPLES - 1)) ** 0.5,
        "whitened": (n / (n - 1)) ** 0.5,
        "pooled": (n / (n - PROMPTS)) ** 0.5,
    }[name]
    expected, found = sampled * bessel, exact[rows]
    # conditioning: the std divides, and it is at least that of one sample differing by 1 in n
    allowed = rounding(6.0 * n, 8 * n)
    assert float((expected - found).abs().max()) <= float(allowed)


def test_every_signal_has_its_sampled_and_its_covariance_form() -> None:
    assert list(SIGNALS) == list(SAMPLED) == list(COVARIANCE_SIGNALS)
    assert set(SAMPLED.values()) <= set(NORMALISERS)


@pytest.mark.parametrize("name", SIGNALS)
def test_equal_scores_carry_no_signal(name: str) -> None:
    """0/0 := 0, also where rounding leaves a spread."""
    score = torch.full((1, PROMPTS * ARMS), 0.1, dtype=torch.float64)
    mass = torch.rand(1, PROMPTS, ARMS, dtype=torch.float64, generator=torch.Generator())
    mass = (mass / mass.sum(2, keepdim=True)).flatten(1)
    found = SIGNALS[name](ensemble(), score, mass)
    assert float(found.abs().max()) <= float(rounding(0.1, 4 * PROMPTS * ARMS))
    if name != "raw":
        assert torch.equal(found, torch.zeros_like(found))

"""The sign threshold of one score, and how often its gradient disagrees (T13)."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from covlaw.theory.geometry import gradient_angle
from covlaw.theory.geometry.gradient_angle import (
    disagreement_by_spectrum,
    disagreement_probability,
    score_threshold,
)
from covlaw.theory.geometry.kernel_spectrum import (
    KernelSpectrum,
    score_kernel_spectrum,
    sign_threshold,
)
from covlaw.theory.statements.false_claims._explicit.worlds import explicit_bandit
from covlaw.theory.statements.gradients._gradient_pairs import measure
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.world import World
from covlaw.toys.bandit import bandit_world


def bandit(*policy: float) -> World:
    exact = [sp.Rational(str(p)) for p in policy]
    return explicit_bandit("bandit", exact, [0] * len(policy))


def test_the_threshold_of_one_score_is_sharp_and_at_most_that_of_all() -> None:
    """r between A_s and its field: agreement turns exactly at corr = sin φ."""
    for seed in range(5):
        world = next(load_rung("bandit").worlds(np.random.default_rng(seed), 1))
        weight, centred, field = gradient_angle._field(
            world, world.rewards @ torch.ones(world.rewards.shape[1], dtype=torch.float64)
        )
        sine = float(score_threshold(world, centred))
        assert sine <= float(sign_threshold(score_kernel_spectrum(world))) + 1e-12
        unit = centred / (weight @ centred.square()).sqrt()
        across = field - (weight @ (field * unit)) * unit
        across = across / (weight @ across.square()).sqrt()
        for shift, agrees in ((1e-6, True), (-1e-6, False)):
            c = sine + shift
            r = c * unit - math.sqrt(1 - c * c) * across
            pair = measure(world, r[:, None], centred[:, None])
            assert pair.covariance.item() > 0
            assert (pair.alignment.item() > 0) is agrees


def test_the_worst_score_attains_the_threshold_of_all() -> None:
    """Kantorovich: s = √k_min·v_max + √k_max·v_min has sin φ = (κ − 1)/(κ + 1)."""
    world = bandit(0.6, 0.3, 0.1)
    spectrum = score_kernel_spectrum(world)
    top, bottom = spectrum.modes[:, -1], spectrum.modes[:, 0]
    worst = spectrum.smallest.sqrt() * top + spectrum.largest.sqrt() * bottom
    sine = score_threshold(world, worst).item()
    assert sine == pytest.approx(sign_threshold(spectrum).item(), rel=1e-12)


def test_disagreement_probability_is_that_of_independent_normal_rewards() -> None:
    """By simulation, within five binomial standard errors; 0 for a uniform policy."""
    rng = np.random.default_rng(3)
    world = bandit_world(rng, 2, 6, 2)
    score = torch.as_tensor(rng.normal(size=12))
    weight, centred, field = gradient_angle._field(world, score)
    rewards = torch.as_tensor(rng.normal(size=(40_000, 12)))
    opposite = (rewards @ (weight * centred)) * (rewards @ (weight * field)) < 0
    p = float(disagreement_probability(world, score))
    assert 0.02 < p < 0.5
    share = float(opposite.to(torch.float64).mean())
    assert abs(share - p) <= 5 * math.sqrt(p * (1 - p) / 40_000)
    even = bandit_world(rng, 1, 6, 2, spread=0.0)
    assert float(disagreement_probability(even, score[:6])) <= 1e-7


def test_eigenvalues_alone_say_how_often_signals_without_direction_disagree() -> None:
    """n = 4,000 modes: s'Ks/(|s||Ks|) of one normal s is near its limit, by 3/√n or so."""
    rng = np.random.default_rng(0)
    for k in (rng.uniform(size=4000), rng.exponential(size=4000), np.full(4000, 0.3)):
        spectrum = KernelSpectrum(torch.as_tensor(np.sort(k)), torch.empty(0))
        s = rng.normal(size=4000)
        cosine = s @ (np.sort(k) * s) / np.linalg.norm(s) / np.linalg.norm(np.sort(k) * s)
        limit = math.cos(math.pi * float(disagreement_by_spectrum(spectrum)))
        assert cosine == pytest.approx(limit, rel=0.05)
    alone = KernelSpectrum(torch.cat([torch.zeros(9999), torch.ones(1)]).double(), torch.empty(0))
    assert 0.49 < float(disagreement_by_spectrum(alone)) < 0.5
    flat = KernelSpectrum(torch.full((5,), 2.0).double(), torch.empty(0))
    assert float(disagreement_by_spectrum(flat)) == 0

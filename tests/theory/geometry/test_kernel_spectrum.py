"""The score kernel's spectrum, and the pairs of signals that attain its bound (T13)."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.optimize import brentq

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.geometry.kernel_spectrum import (
    extremal_pair,
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


def test_threshold_of_three_arms() -> None:
    """π = (.6, .3, .1): threshold .50918; just around it the alignment turns."""
    world = bandit(0.6, 0.3, 0.1)
    spectrum = score_kernel_spectrum(world)
    threshold = float(sign_threshold(spectrum))
    assert round(threshold, 5) == 0.50918
    for shift, sign in ((-1e-4, 1), (1e-4, -1)):
        r, s = extremal_pair(spectrum, -(threshold + shift))
        pair = measure(world, r[:, None], s[:, None])
        assert pair.covariance.item() == pytest.approx(-(threshold + shift), rel=1e-12)
        assert pair.alignment.item() * sign > 0
        assert abs(pair.alignment.item()) == pytest.approx(2.7e-5, rel=0.02)


def test_eigenvalues_are_the_roots_of_the_secular_equation() -> None:
    """Σ π_i/(π_i − k) = 0 has one root between every two probabilities (SciPy's root finder)."""
    policy = np.array([0.05, 0.15, 0.3, 0.5])
    roots = [
        brentq(lambda k: (policy / (policy - k)).sum(), low + 1e-12, high - 1e-12, xtol=1e-15)
        for low, high in pairwise(policy)
    ]
    found = score_kernel_spectrum(bandit(*policy)).eigenvalues
    np.testing.assert_allclose(found.numpy(), roots, rtol=1e-10)


def test_several_prompts_have_the_eigenvalues_of_each_times_its_share() -> None:
    share = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    world = bandit_world(np.random.default_rng(0), 3, 4, 2, prompt_mass=share)
    policy = world.log_prob_at().exp().reshape(3, 4).numpy()
    expected = []
    for d, p in zip(share.tolist(), policy, strict=True):
        root = np.sqrt(p)[:, None]
        complement = np.linalg.svd(root)[0][:, 1:]
        expected += list(d * np.linalg.eigvalsh(complement.T @ np.diag(p) @ complement))
    found = score_kernel_spectrum(world).eigenvalues.numpy()
    np.testing.assert_allclose(found, np.sort(expected), rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_modes_are_orthonormal_eigenfunctions(seed: int) -> None:
    world = next(load_rung("tabular").worlds(np.random.default_rng(seed), 1))
    values, modes = score_kernel_spectrum(world)
    weight = world.row_weight()
    identity = modes.T @ (weight[:, None] * modes)
    torch.testing.assert_close(identity, torch.eye(len(values)).double(), rtol=0, atol=1e-12)
    scores = world.scores()
    applied = scores @ (scores.T @ (weight[:, None] * modes))
    torch.testing.assert_close(applied, modes * values, rtol=1e-8, atol=1e-10)


def test_fewer_parameters_than_signals_certify_nothing() -> None:
    world = explicit_bandit("one feature", [sp.Rational(1, 4)] * 4, [0] * 4, [[0], [1], [3], [7]])
    spectrum = score_kernel_spectrum(world)
    assert spectrum.eigenvalues[:2].abs().max() <= 1e-14
    assert float(sign_threshold(spectrum)) == 1.0


def test_two_arms_always_agree() -> None:
    spectrum = score_kernel_spectrum(bandit(0.3, 0.7))
    assert float(sign_threshold(spectrum)) == 0.0
    assert spectrum.eigenvalues.item() == pytest.approx(2 * 0.3 * 0.7, rel=1e-14)
    with pytest.raises(CovlawError, match="one mode"):
        extremal_pair(spectrum, 0.0)


def test_a_single_completion_has_no_spectrum() -> None:
    world = replace(bandit(0.3, 0.7), prompt=torch.tensor([0, 1]), cache={})
    world = replace(world, log_prob=lambda theta: 0 * theta)
    with pytest.raises(CovlawError, match="single completion"):
        score_kernel_spectrum(world)

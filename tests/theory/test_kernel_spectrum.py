"""T13: the score kernel's spectrum, its bound, and the sign threshold."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.optimize import brentq

from covlaw.theory import kernel_spectrum
from covlaw.theory.errors import CovlawError
from covlaw.theory.kernel_spectrum import (
    disagreement_probability,
    extremal_pair,
    score_kernel_spectrum,
    score_threshold,
    sign_threshold,
)
from covlaw.theory.rungs import load_rung
from covlaw.theory.statements import check
from covlaw.theory.statements.base import joined
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.law import kernel_spread_bounds_the_disagreement as t13
from covlaw.theory.statements.random_instances import RUNG
from covlaw.theory.statements.support import symbolic_spectrum as symbolic
from covlaw.theory.statements.support.explicit_worlds import explicit_bandit
from covlaw.theory.statements.support.gradient_pairs import measure
from covlaw.theory.worlds import World
from covlaw.toys.bandit import bandit_world


def bandit(*policy: float) -> World:
    exact = [sp.Rational(str(p)) for p in policy]
    return explicit_bandit("bandit", exact, [0] * len(policy))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(seed: int) -> None:
    verdict = check("T13", "theory", seed, instances=60)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]
    assert verdict.tightness is not None
    assert 1 - 1e-9 < verdict.tightness <= 1


@pytest.mark.parametrize("rung", ["bandit", "tabular"])
def test_holds_on_other_rungs(rung: str) -> None:
    assert check("T13", rung, 3, 12).status == "holds"


def test_holds_on_transformers() -> None:
    assert check("T13", "transformer", 1, 2).status == "holds"


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


def test_leaving_out_the_prompt_mass_certifies_wrong_signs() -> None:
    """Uniform arms: each prompt's own κ is 1, so every sign would be certified; one is wrong."""
    share = torch.tensor([0.9, 0.1], dtype=torch.float64)
    world = bandit_world(np.random.default_rng(0), 2, 3, 2, spread=0.0, prompt_mass=share)
    spectrum = score_kernel_spectrum(world)
    assert float(sign_threshold(spectrum)) == pytest.approx(0.8, rel=1e-12)
    alone = score_kernel_spectrum(replace(world, prompt_mass=None, cache={}))
    assert float(sign_threshold(alone)) <= 1e-12
    r, s = extremal_pair(spectrum, -0.5)
    pair = measure(world, r[:, None], s[:, None])
    assert pair.covariance.item() < 0 < pair.alignment.item()
    found = judge(
        "bound", [joined(t13.without_prompt_mass(world, spectrum, np.random.default_rng(0)))]
    )
    assert found is not None
    assert found.violations > 0


@pytest.mark.parametrize("factor", [0.9, 0.99])
def test_refutes_a_bound_made_smaller(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        t13, "wielandt_bound", lambda *a: factor * kernel_spectrum.wielandt_bound(*a)
    )
    assert violations() > 0


def test_refutes_a_ratio_better_than_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """κ = √(k_max/k_min) would certify wrong signs."""

    def better(spectrum):
        ratio = (spectrum.largest / spectrum.smallest).sqrt()
        return (ratio - 1) / (ratio + 1)

    monkeypatch.setattr(t13, "sign_threshold", better)
    assert violations() > 0


def test_the_threshold_of_one_score_is_sharp_and_at_most_that_of_all() -> None:
    """r between A_s and its field: agreement turns exactly at corr = sin φ."""
    for seed in range(5):
        world = next(load_rung("bandit").worlds(np.random.default_rng(seed), 1))
        weight, centred, field = kernel_spectrum._field(
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
    weight, centred, field = kernel_spectrum._field(world, score)
    rewards = torch.as_tensor(rng.normal(size=(40_000, 12)))
    opposite = (rewards @ (weight * centred)) * (rewards @ (weight * field)) < 0
    p = float(disagreement_probability(world, score))
    assert 0.02 < p < 0.5
    share = float(opposite.to(torch.float64).mean())
    assert abs(share - p) <= 5 * math.sqrt(p * (1 - p) / 40_000)
    even = bandit_world(rng, 1, 6, 2, spread=0.0)
    assert float(disagreement_probability(even, score[:6])) <= 1e-7


def violations() -> int:
    worlds = RUNG.worlds(np.random.default_rng(9), 40)
    sides = [t13.sides(w, np.random.default_rng([0, k])) for k, w in enumerate(worlds)]
    judgement = judge("bound", sides)
    assert judgement is not None
    return judgement.violations


def test_unmutated_there_are_no_violations() -> None:
    assert violations() == 0


def test_symbolic_proofs_and_their_mutants() -> None:
    assert all(proof.residual == 0 for proof in symbolic.spectrum_proofs())
    q = sp.Symbol("q", positive=True)
    mutants = (
        symbolic.spread_residual(power=1),
        symbolic.two_arm_residual(factor=1),
        symbolic.three_arm_mode_residuals(largest=q),
        symbolic.three_arm_threshold_residual(shift=sp.Rational(1, 100)),
    )
    assert all(sp.simplify(m) != 0 for m in mutants)
    assert math.isclose(float(mutants[3].subs(q, 0.2)), 0.01 * (0.2 + 3 * 0.2 * 0.6) / 2)

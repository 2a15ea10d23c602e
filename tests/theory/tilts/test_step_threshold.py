"""T6's thresholds: extremal cases, exact zeros known in closed form, and no zero skipped."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.statements._support.enumeration import tilted_change
from covlaw.theory.statements._support.random_instances import random_score, random_world
from covlaw.theory.statements.tilts import _symbolic_threshold as symbolic_threshold
from covlaw.theory.tilts.first_sign_change import first_sign_change
from covlaw.theory.tilts.thresholds import StepThreshold, step_threshold
from covlaw.theory.tilts.tilt_problem import tilt_problem


def vector(*values: float | Fraction) -> Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def one_prompt(reward: Tensor, score: Tensor, mass: Tensor) -> StepThreshold:
    return step_threshold(reward, score, torch.zeros(len(mass), dtype=torch.int64), mass)


def polynomial_case(*roots: complex) -> tuple[Tensor, Tensor, Tensor]:
    """Uniform arms s = 0, 1, … and r with Δ(η) ∝ (x − 1)Π(x − root), x = e^η.

    Σ_k c_k x^k with c_k = π_k(r_k − E r) is Δ times the normaliser; its value at 1 is 0.
    """
    coefficients = np.real(np.poly([1.0, *roots]))[::-1].copy()
    arms = len(coefficients)
    reward = torch.as_tensor(coefficients * arms)
    if coefficients @ np.arange(arms) < 0:
        reward = -reward
    return reward, torch.arange(arms, dtype=torch.float64), torch.full((arms,), 1 / arms).double()


@pytest.mark.parametrize("roots", [(2.0,), (1.5, 4.0), (1.5, 1.500001), (1.01, 3.0, 3.1)])
def test_the_exact_threshold_is_the_first_zero(roots: tuple[float, ...]) -> None:
    case = polynomial_case(*roots)
    expected = math.log(min(roots))
    # near a root the height is (slope)·(distance); below its own rounding the march stops
    slope = np.prod([abs(min(roots) - b) for b in sorted(roots)[1:]]) * (min(roots) - 1)
    resolution = 2000 * 2.0**-53 * float(case[0].abs().max()) / slope
    assert one_prompt(*case).certified.item() == pytest.approx(expected, abs=resolution)


def test_a_near_miss_is_not_taken_for_a_zero() -> None:
    # Δ dips to a relative 1e-8 of its scale between η = log 1.5 ± 1e-4 and rises again
    assert one_prompt(*polynomial_case(1.5 + 1e-4j, 1.5 - 1e-4j)).certified.item() == math.inf


def test_a_pair_of_zeros_closer_than_any_grid_is_not_skipped() -> None:
    exact = one_prompt(*polynomial_case(1.5, 1.500001)).certified.item()
    assert exact == pytest.approx(math.log(1.5), abs=1e-6)


@pytest.mark.parametrize("gap", [1e-9, 1e-8, 1e-6, 1e-3])
def test_a_dip_below_rounding_leaves_a_lower_bound_and_a_later_turn(gap: float) -> None:
    """Δ nearly touches 0 at log 1.5 and turns at log 3: between the two lies the first zero."""
    found = one_prompt(*polynomial_case(1.5 + gap * 1j, 1.5 - gap * 1j, 3.0))
    assert found.certified.item() <= math.log(3) * (1 + 1e-12)
    assert math.log(3) * (1 - 1e-9) <= found.turned.item() <= math.log(3) * 2
    if gap <= 1e-8:  # what used to be called the exact first zero
        assert found.certified.item() < 0.9 * math.log(3)


def test_the_first_zero_lies_between_certified_and_turned() -> None:
    """Against the roots of Δ's numerator in x = e^η, exact rationals at 40 digits."""
    rng, sharp, cases = np.random.default_rng(0), 0, 0
    for _ in range(60):
        arms = int(rng.integers(3, 6))
        parts = [Fraction(int(k)) for k in rng.integers(1, 9, arms)]
        mass = [p / sum(parts) for p in parts]
        reward = [Fraction(int(k), 4) for k in rng.integers(0, 9, arms)]
        first = first_zero(mass, reward)
        if first is None:
            continue
        found = one_prompt(vector(*reward), vector(*range(arms)), vector(*mass))
        assert found.certified.item() <= first * (1 + 1e-9)
        assert found.turned.item() >= first * (1 - 1e-9)
        cases, sharp = cases + 1, sharp + (found.turned.item() <= first * (1 + 1e-6))
    assert cases >= 10
    assert sharp >= 0.9 * cases


def first_zero(mass: list[Fraction], reward: list[Fraction]) -> float | None:
    """Least η > 0 with Δ(η) = 0 where it changes sign; None without one, or where C is 0."""
    mean = sum(p * r for p, r in zip(mass, reward, strict=True))
    x = sp.Symbol("x")
    terms = [p * (r - mean) * x**k for k, (p, r) in enumerate(zip(mass, reward, strict=True))]
    numerator = sp.Poly(sp.nsimplify(sum(map(sp.sympify, terms))), x)
    roots = [float(root.evalf(40)) for root in numerator.real_roots() if root > 1]
    simple = sp.gcd(numerator, numerator.diff(x)).degree() == 0
    return math.log(min(roots)) if roots and simple else None


def test_monotone_rewards_never_turn() -> None:
    score = vector(0, 1, 3, 7)
    for mass in (vector(0.1, 0.2, 0.3, 0.4), vector(0.97, 0.01, 0.01, 0.01)):
        assert one_prompt(score.sqrt(), score, mass).certified.item() == math.inf


@pytest.mark.parametrize(("delta", "ratio"), [(0.1, 1.0023), (0.01, 1.000025), (1e-3, 1.00000025)])
def test_the_closed_form_is_optimal_for_several_prompts(delta: float, ratio: float) -> None:
    p = (3 - math.sqrt(3)) / 6
    threshold = step_threshold(
        vector(0, 1, 0, -(1 + delta)),
        vector(0, 1, 0, 1),
        torch.tensor([0, 0, 1, 1]),
        vector(1 - p, p, p, 1 - p),
    )
    digits = len(str(ratio)) - 2
    assert round((threshold.certified / threshold.ranges).item(), digits) == ratio
    assert threshold.one_prompt.isnan().all()


def test_one_prompt_flips_approach_32_over_12_root_3_from_above() -> None:
    cases = [(vector(0, 1, eps), vector(0, 0.5, 1), vector(0.25, 0.5, 0.25)) for eps in (0.1, 1e-2)]
    limit = 32 / (12 * math.sqrt(3))
    ratios = [(t.certified / t.ranges).item() for t in (one_prompt(*case) for case in cases)]
    assert limit < ratios[1] < ratios[0]
    assert ratios[1] == pytest.approx(limit, rel=1e-2)  # first order in eps


def test_the_turn_of_f4() -> None:
    threshold = one_prompt(vector(0, 1, 0.2), vector(0, 0.5, 1), vector(0.25, 0.5, 0.25))
    # 1/4·(r_1 − .55) + 1/2·(r_2 − .55)x + 1/4·(r_3 − .55)x² = 0 with x = e^{η/2}
    x = max(np.roots([0.25 * (0.2 - 0.55), 0.5 * (1 - 0.55), -0.25 * 0.55]))
    assert threshold.certified.item() == pytest.approx(2 * math.log(x), rel=1e-12)
    assert threshold.ranges.item() == pytest.approx(12 * math.sqrt(3) / 40, rel=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_no_sign_change_below_and_one_just_beyond(seed: int) -> None:
    rng = np.random.default_rng([11, seed])
    world = random_world(rng)
    score = random_score(world, rng)
    problem = tilt_problem(
        world.rewards, score, Grouping(world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    )
    exact = first_sign_change(problem)
    for j in (problem.law != 0).nonzero()[:, 0].tolist():
        end = exact[j].item()
        column, sign = world.rewards[:, [j]], problem.law[j].sign().item()
        largest = min(end, 60 / max(problem.scores.range.max().item(), 1e-9))
        for eta in np.linspace(0, largest * (1 - 1e-9), 60)[1:]:
            assert sign * tilted_change(world, column, score, eta).item() > -1e-14
        if end < largest * 2 and end < math.inf:
            assert sign * tilted_change(world, column, score, end * (1 + 1e-6)).item() < 0


@given(bandits())
def test_closed_forms_never_exceed_the_exact_threshold(bandit: Bandit) -> None:
    threshold = step_threshold(bandit.rewards, bandit.score, *bandit.groups)
    law = tilt_problem(bandit.rewards, bandit.score, bandit.groups).law
    assert bool((threshold.certified >= threshold.ranges).all())
    assert bool(((threshold.certified > 0) == (law != 0)).all())
    assert not bool(threshold.certified.isnan().any())


@pytest.mark.parametrize("seed", range(30))
def test_the_march_alone_reaches_both_closed_forms(seed: int) -> None:
    rng = np.random.default_rng([12, seed])
    world = random_world(rng)
    groups = (world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    score = random_score(world, rng)
    threshold = step_threshold(world.rewards, score, *groups)
    march = first_sign_change(tilt_problem(world.rewards, score, Grouping(*groups)))
    assert bool((march >= threshold.closed_form * (1 - 1e-12)).all())


def test_no_law_no_threshold() -> None:
    threshold = one_prompt(vector(1, 1, 1), vector(0, 1, 2), vector(0.2, 0.3, 0.5))
    assert [t.item() for t in threshold] == [0, 0, 0, 0, math.inf]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CovlawError, match="signal has shape"):
        step_threshold(vector(0, 1), vector(0, 1, 2), torch.tensor([0, 0]))


def test_one_prompt_allows_32_and_no_more() -> None:
    """(1/4, 1/2, 1/4), s = (0, 1/2, 1), r = (0, 1, δ): the first zero nears 32|C|/(R S²)."""
    policy = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    score = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    ratios = []
    for delta in (1e-1, 1e-2, 1e-3):
        reward = torch.tensor([0.0, 1.0, delta], dtype=torch.float64)
        found = step_threshold(reward, score, torch.zeros(3, dtype=torch.int64), policy)
        ratios.append(float(found.certified / found.one_prompt_ranges))
    assert all(ratio >= 1 for ratio in ratios)
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1.01


def test_several_prompts_have_no_such_threshold() -> None:
    policy = torch.tensor([0.5, 0.5, 0.5, 0.5], dtype=torch.float64)
    values = torch.tensor([0.0, 1.0, 0.0, 2.0], dtype=torch.float64)
    found = step_threshold(values, values, torch.tensor([0, 0, 1, 1]), policy)
    assert bool(found.one_prompt_ranges.isnan().all())
    assert bool((found.closed_form > 0).all())


@pytest.mark.parametrize(
    "mutant",
    [
        lambda: symbolic_threshold.equal_ends_residual(sp.Integer(1)),
        lambda: symbolic_threshold.range_residual(3),
        lambda: symbolic_threshold.sharpness_residual(33),
    ],
)
def test_mutated_proofs_leave_a_residual(mutant: Callable[[], sp.Expr]) -> None:
    assert mutant() != 0

"""Part H on its best known instances, with the numbers worked out by hand."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.guard import guard_step
from covlaw.theory.guard.gramian import sampled_gramian_bias
from covlaw.theory.solvers.least_change import least_change
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements import check
from covlaw.theory.statements.false_claims import (
    protecting_the_gradient_does_not_protect_the_step as f18,
)
from covlaw.theory.statements.guard import a_guard_is_judged_on_other_completions as t63
from covlaw.theory.statements.guard import restoring_floors_bound_every_deficit as t64


def test_t58_positive_floors_can_be_met_unless_the_min_norm_point_is_0() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        rows = torch.as_tensor(rng.normal(size=(3, 2)))
        gram = rows @ rows.T
        possible = bool(min_norm_point(gram).value > 1e-9)
        found = least_change(gram, torch.zeros(3), 0.1)
        assert bool(found.feasible) == possible
        seen.add(possible)
    assert seen == {True, False}


def test_t59_the_plain_metric_believes_a_step_safe_that_is_not() -> None:
    """Adam's metric (1, 9): guarded in the plain one, P·(projected gradient) still lowers g₁."""
    g = torch.tensor([[1.0, -1.0], [-0.2, 1.0]]).double()
    p, share = torch.tensor([1.0, 9.0]).double(), torch.tensor([0.5, 0.5]).double()
    ascent = share @ g
    safe = guard_step(ascent, g).step
    assert (g @ safe >= -1e-12).all()
    assert (g @ (p * safe)).min() < -0.1
    assert (g @ guard_step(p * ascent, g, p).step >= -1e-12).all()


def test_f18_by_exact_arithmetic() -> None:
    gradient = [f18._gradient(f18.POLICY, reward) for reward in f18.REWARDS]
    weight = Fraction(30, 79)
    ascent = [weight * x + (1 - weight) * y for x, y in zip(*gradient, strict=True)]
    assert ascent == [Fraction(-13, 316), Fraction(17, 316), Fraction(-4, 316)]
    for g in gradient:
        assert sum(x * y for x, y in zip(g, ascent, strict=True)) == Fraction(3, 632)
    signs = [-1, 1, -1]
    assert sum(x * y for x, y in zip(gradient[0], signs, strict=True)) == Fraction(-1, 8)
    step = f18.adamw_direction(torch.tensor([float(x) for x in ascent]).double())
    torch.testing.assert_close(step, torch.tensor(signs).double())


def test_f18_is_the_smallest_and_the_guard_mends_it() -> None:
    cases = (case for case in f18._cases() if f18._refute(case) is not None)
    assert next(cases) == {"π": f18.POLICY, "r": f18.REWARDS}
    rows = [f18._gradient(f18.POLICY, r) for r in f18.REWARDS]
    g = torch.tensor([[float(x) for x in row] for row in rows]).double()
    step = torch.tensor([-1.0, 1.0, -1.0]).double()
    assert (g @ step)[0] == -0.125
    assert (g @ guard_step(step, g).step >= -1e-15).all()


def bias_by_hand(rewards: list[list[float]], scores: list[float]) -> Tensor:
    """E[ĝ_jĝ_k] − g_jg_k for two equal arms, K = 2: half of the batches hold one arm twice."""
    r, s = torch.tensor(rewards).double(), torch.tensor(scores).double()
    apart = (r[0] - r[1]) * (s[0] - s[1]) / 2  # ĝ of a batch with both arms
    true = apart / 2
    return apart.outer(apart) / 2 - true.outer(true)


def test_t62_off_diagonal_terms_on_two_arms() -> None:
    """Opposed rewards on shared completions: the products are biased towards conflict."""
    rewards, scores = [[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5]
    half = torch.full((2,), 0.5).double()
    r, s = torch.tensor(rewards).double(), torch.tensor(scores).double()
    g = (r - half @ r).T @ (half * s)
    found = sampled_gramian_bias(r, half, s.square(), g.outer(g), 2)
    torch.testing.assert_close(found, bias_by_hand(rewards, scores))
    assert found[0, 1] < 0
    only_own = torch.diag(found.diagonal())  # noise taken for independent between objectives
    assert (found - only_own).abs().max() > 0.05


def test_t63_first_order_formula_gets_better_as_the_model_grows() -> None:
    errors = []
    for size in (20, 320):
        seen, error, formula = t63.optimism(size)
        assert (seen > 20 * error).all()  # optimism, not noise
        errors.append(float(((formula - seen) / seen).abs().max()))
    assert errors[0] < 0.2
    assert errors[1] < errors[0] / 4


def test_t64_a_mean_that_lags_overshoots_beyond_its_limit() -> None:
    share = torch.tensor([0.1]).double()
    quiet = torch.zeros(400, 1).double()
    for factor, most in ((1.0, 1e-12), (4.0, 0.3), (38.0, 3.0)):
        strength = factor * torch.tensor([t64.largest_strength(0.1)]).double()
        above = -t64.path(t64.Restorations(strength, share, quiet), 1.0).min()
        assert above <= most
        assert (above > 0.01) == (factor > 1)


def test_t64_a_constant_error_leaves_exactly_its_size_over_kappa() -> None:
    strength = torch.tensor([0.3, 0.05]).double()
    steady = -torch.ones(400, 2).double() * 0.01
    given = t64.Restorations(strength, torch.ones(2).double(), steady)
    assert t64.path(given)[-1].tolist() == pytest.approx([0.01 / 0.3, 0.01 / 0.05], rel=1e-6)


@pytest.mark.parametrize("id", ["T58", "T59", "T60", "T61", "T62"])
def test_on_bandits_it_holds_and_every_nearer_variant_falls(id: str) -> None:
    verdict = check(id, "bandit", seed=3, instances=24)
    assert verdict.status == "holds", verdict
    assert verdict.n > 0

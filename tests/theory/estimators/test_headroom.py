"""Headroom: certified, equal to a conic solver, and what THEORY quotes of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.ctwa_signals import grpo_signal, mean_std
from covlaw.theory.estimators.headroom import headroom, most_demanding, raw_headroom, slack_rate
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.estimators.rank_condition import FAILS, FULL, WEAKER, rank_condition
from covlaw.theory.solvers.mean_std_programme import factors
from covlaw.theory.statements.ctwa._problems import (
    counterexample,
    draw_problems,
    one_prompt,
    random_problems,
)

SHIPPED = (0.15, 0.08, 0.08)


def correlated(deviations: list[float], pairs: dict[tuple[int, int], float]) -> PromptCovariances:
    matrix = np.diag([d * d for d in deviations])
    for (i, j), corr in pairs.items():
        matrix[i, j] = matrix[j, i] = corr * deviations[i] * deviations[j]
    return one_prompt(matrix.tolist())


def targets(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


@pytest.mark.parametrize(
    ("problem", "factor"),
    [
        (correlated([0.3] * 3, {}), 1.60),
        (correlated([0.3] * 3, {(0, 1): -0.5}), 1.22),
        (correlated([0.3] * 3, {(0, 1): -0.9, (0, 2): -0.3}), 0.38),
        (correlated([0.12, 0.3, 0.3], {}), 0.77),
        (correlated([0.2] * 3, {(0, 1): -0.3, (0, 2): -0.3, (1, 2): -0.3}), 0.70),
    ],
)
def test_headroom_of_the_shipped_targets(problem: PromptCovariances, factor: float) -> None:
    assert round(headroom(problem, targets(*SHIPPED)).factor.item(), 2) == factor


def test_equicorrelation_has_a_closed_form() -> None:
    problem = correlated([1.0] * 3, {(0, 1): -0.3, (0, 2): -0.3, (1, 2): -0.3})
    found = headroom(problem, targets(1, 1, 1))
    assert found.factor.item() == pytest.approx(math.sqrt((1 - 0.6) / 3), rel=1e-10)
    assert round(found.factor.item(), 3) == 0.365


def test_one_prompt_signal_lies_on_its_ellipsoid() -> None:
    problems = random_problems(np.random.default_rng(0), 50, 4, 1)
    y = grpo_signal(problems, torch.as_tensor(np.random.default_rng(1).random((50, 4))))
    inverse = torch.linalg.inv(problems.matrices[:, 0])
    torch.testing.assert_close(
        torch.einsum("bi,bij,bj->b", y, inverse, y), torch.ones(50, dtype=torch.float64)
    )


def test_counterexample_without_rank() -> None:
    problem, c = counterexample(), targets(0.1, 0.5)
    found = headroom(problem, c)
    assert round(found.factor.item(), 4) == 1.1785
    assert found.lower.item() == pytest.approx(found.factor.item(), abs=1e-7)
    share = torch.linspace(0, 1, 100_001, dtype=torch.float64)[1:-1]
    weights = torch.stack([share, 1 - share], 1)[:, None]
    reach = (grpo_signal(problem, weights) / c).amin(-1).max().item()
    assert round(reach, 4) == 0.7071
    assert slack_rate(problem, c).lower.item() > 0
    assert rank_condition(problem).tolist() == [[FAILS, FULL]]


def test_codes_of_the_rank_condition() -> None:
    def code(matrix: list[list[float]]) -> int:
        return int(rank_condition(one_prompt(matrix)))

    assert code([[0.0, 0.0], [0.0, 0.0]]) == FULL
    assert code([[1.0, 1.0], [1.0, 1.0]]) == FULL  # singular, but no bundle is constant
    assert code([[1.0, 0.0], [0.0, 0.0]]) == WEAKER
    assert code([[1.0, -2.0], [-2.0, 4.0]]) == FAILS
    # r_1 + r_2 is constant, r_3 is in no constant bundle
    assert code([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) == WEAKER
    assert code([[2.0, -1.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]]) == FAILS


def test_few_samples_fail_the_rank_condition() -> None:
    rng = np.random.default_rng(0)
    base = torch.as_tensor(rng.normal(size=(4, 2)))
    rewards = torch.cat([base, -base.sum(1, keepdim=True)], 1)
    found = prompt_covariances(1e6 + rewards, torch.zeros(4, dtype=torch.int64))
    assert rank_condition(found).tolist() == [FAILS]


def conic_optimum(problem: PromptCovariances, c: torch.Tensor) -> float:
    cvxpy = pytest.importorskip("cvxpy")
    bundle = cvxpy.Variable(c.shape[1], nonneg=True)
    roots = factors(problem.matrices)[0].numpy()
    mass = problem.prompt_mass[0].numpy()
    cost = sum(m * cvxpy.norm(root @ bundle) for m, root in zip(mass, roots, strict=True))
    programme = cvxpy.Problem(cvxpy.Minimize(cost), [c[0].numpy() @ bundle == 1])
    programme.solve(solver="CLARABEL")
    return float(programme.value)


@pytest.mark.parametrize(("objectives", "prompts"), [(2, 1), (3, 2), (5, 4), (8, 3)])
def test_clarabel_agrees(objectives: int, prompts: int) -> None:
    rng = np.random.default_rng(objectives)
    problem = random_problems(rng, 1, objectives, prompts)
    c = torch.as_tensor(rng.uniform(0.0, 1.0, size=(1, objectives)))
    c[0, 0] = 0.0  # "do not lower it"
    found = headroom(problem, c)
    assert found.factor.item() == pytest.approx(conic_optimum(problem, c), rel=1e-6)


def test_clarabel_agrees_at_a_kink() -> None:
    found = headroom(counterexample(), targets(0.1, 0.5)).factor.item()
    assert found == pytest.approx(conic_optimum(counterexample(), targets(0.1, 0.5)), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(-9, 9))
def test_certified_and_free_of_scale(seed: int, objectives: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    problem = random_problems(rng, 4, objectives, int(rng.integers(1, 4)))
    unit = 10.0 ** (exponent * torch.as_tensor(rng.integers(0, 2, size=objectives)))
    c = problem.mean_deviations() * torch.as_tensor(rng.uniform(0.1, 1.0, size=(4, objectives)))
    found = headroom(problem, c)
    assert bool((found.lower <= found.factor + 1e-12).all())
    assert float((found.factor - found.lower).max()) < 1e-9 * float(found.factor.max())
    scaled = PromptCovariances(
        problem.matrices * unit[:, None] * unit,
        problem.prompt_mass,
        problem.means * unit,
        problem.noise * unit,
    )
    again = headroom(scaled, c * unit)
    torch.testing.assert_close(again.factor, found.factor, rtol=1e-9, atol=0)
    demand = (again.bundle * c * unit).sum(1)
    torch.testing.assert_close(demand, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(mean_std(scaled, again.bundle), again.factor, rtol=1e-9, atol=0)


def test_a_constant_objective_has_no_room() -> None:
    problem = one_prompt([[1.0, 0.0], [0.0, 0.0]])
    assert headroom(problem, targets(0.5, 0.1)).factor.item() == 0
    assert headroom(problem, targets(0.5, 0.1)).bundle.tolist() == [[0.0, 10.0]]
    assert headroom(problem, targets(0.5, 0.0)).factor.item() == pytest.approx(2.0)
    constant = one_prompt([[0.0, 0.0], [0.0, 0.0]])
    assert headroom(constant, targets(0.5, 0.1)).factor.item() == 0


def test_headroom_of_a_raw_advantage_is_a_min_norm_value() -> None:
    found = raw_headroom(torch.tensor([[[1.0, 2.0], [2.0, 5.0]]]), targets(1, 1))
    assert found.factor.item() == pytest.approx(1.0)
    assert found.bundle.tolist() == [[1.0, 0.0]]


def test_the_slack_rate_says_whether_targets_fit() -> None:
    problems = next(draw_problems(np.random.default_rng(3), 64))
    c = problems.mean_deviations()
    room = headroom(problems, c).factor[:, None]
    assert bool((slack_rate(problems, 0.99 * room * c).lower > 0).all())
    assert bool((slack_rate(problems, 1.01 * room * c).factor < 0).all())


def test_the_demanding_bundle_is_named() -> None:
    problem = correlated([0.2, 0.2, 0.9], {(0, 1): -0.95})
    found = headroom(problem, targets(0.1, 0.1, 0.1))
    single = type(found)(*(part[0] for part in found))
    sentence = most_demanding(single, targets(0.1, 0.1, 0.1)[0], ("right", "short", "clear"))
    assert "too demanding" in sentence
    assert "50% right, 50% short" in sentence
    assert "clear" not in sentence


@pytest.mark.parametrize("bad", [(0.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0), (1.0, 1.0, 1.0)])
def test_bad_targets_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(CovlawError, match="targets"):
        headroom(counterexample(), targets(*bad))


def test_raw_headroom_refuses_zero_targets() -> None:
    with pytest.raises(CovlawError, match="targets > 0"):
        raw_headroom(counterexample().within(), targets(0.0, 1.0))

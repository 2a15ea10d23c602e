"""T46: fifty-digit referee near the optimum, quoted ratios, and mutations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory.dynamics.kl_bandit import (
    PlConstants,
    best_log_prob,
    divergence,
    excess,
    full_support_level,
    natural_step,
    oscillation,
    pl_constants,
)
from covlaw.theory.geometry.natural_gradient import dense_natural_step
from covlaw.theory.statements import check
from covlaw.theory.statements.convergence import (
    kl_regularised_bandit_contracts_at_its_own_pace as t46,
)
from covlaw.theory.statements.convergence._regularised_rows import (
    regularised_rows,
)
from covlaw.toys.bandit import bandit_world


@pytest.mark.parametrize("rung", ["theory", "bandit", "tabular"])
@pytest.mark.parametrize("seed", [0, 3])
def test_holds_and_its_control_is_refuted(rung: str, seed: int) -> None:
    verdict = check("T46", rung, seed, instances=12 if rung != "theory" else None)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def two_arms(p: float) -> torch.Tensor:
    return torch.tensor([math.log(p), math.log1p(-p)], dtype=torch.float64)


@pytest.mark.parametrize(("p", "quoted"), [(1e-2, 3e-3), (1e-4, 1e-6), (1e-6, 3e-10)])
def test_two_arms_have_no_uniform_constant(p: float, quoted: float) -> None:
    log_prob, best = two_arms(p), two_arms(0.5)
    own = excess(log_prob, best)
    gradient = log_prob.exp() * (own - log_prob.exp() @ own)
    ratio = gradient.square().sum() / (2 * divergence(log_prob, best))
    assert f"{ratio.item():.0e}" == f"{quoted:.0e}"
    assert pl_constants(log_prob, best).euclidean.item() <= ratio.item()


def test_constants_tend_to_the_optimums() -> None:
    best = two_arms(0.3)
    near = pl_constants(two_arms(0.3 + 1e-9), best, 2.0)
    assert near.natural.item() == pytest.approx(2.0, rel=1e-7)
    assert near.euclidean.item() == pytest.approx(2.0 * 0.3, rel=1e-7)


def test_a_completion_without_mass_costs_the_level() -> None:
    best = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    without = torch.tensor([0.625, 0.375, 0.0], dtype=torch.float64).log()
    gap = 3.0 * divergence(without, best)
    assert gap.item() == pytest.approx(full_support_level(best, 3.0).item())
    assert pl_constants(without, best).natural.item() == 0.0


def test_natural_step_is_the_natural_gradient_of_the_real_parameters() -> None:
    world = bandit_world(np.random.default_rng(0), 1, 4, 1, 0.0)
    reference = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).log()
    beta, eta, reward = 0.7, 0.9, world.rewards[:, 0]
    theta = world.theta.clone().requires_grad_()
    log_prob = world.log_prob(theta)
    objective = log_prob.exp() @ (reward - beta * (log_prob - reference))
    gradient = torch.autograd.grad(objective, theta)[0]
    moved = world.log_prob_at(world.theta + eta * dense_natural_step(world, gradient))
    expected = natural_step(world.log_prob_at(), reward, reference, beta, eta)
    torch.testing.assert_close(moved, expected, rtol=1e-10, atol=1e-12)
    best = best_log_prob(reward, reference, beta)
    ratio = oscillation(moved, best) / oscillation(world.log_prob_at(), best)
    assert ratio.item() == pytest.approx(abs(1 - eta * beta), rel=1e-9)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9))
def test_divergence_of_two_arms(p: float, q: float) -> None:
    expected = p * math.log(p / q) + (1 - p) * (math.log1p(-p) - math.log1p(-q))
    assert divergence(two_arms(p), two_arms(q)).item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", ["euclidean", "natural"])
def test_t46_refutes_constants_one_percent_larger(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def larger(*arguments: torch.Tensor) -> PlConstants:
        found = pl_constants(*arguments)
        return found._replace(**{name: 1.01 * getattr(found, name)})

    monkeypatch.setattr(t46, "pl_constants", larger)
    assert check("T46", "theory", 0).status == "refuted"


def test_t46_refutes_a_step_that_forgets_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(log_prob, score, reference, beta, eta):  # type: ignore[no-untyped-def]
        return (log_prob + eta * score).log_softmax(-1)

    monkeypatch.setattr(t46, "natural_step", without)
    assert check("T46", "theory", 0).status == "refuted"


def test_a_worlds_rows_are_its_prompts_and_objectives() -> None:
    world = bandit_world(np.random.default_rng(0), 2, 5, 3)
    rows = regularised_rows(world, np.random.default_rng(1))
    assert rows.log_prob.shape == (6, 5)
    torch.testing.assert_close(rows.log_prob[0], world.log_prob_at()[:5])
    slope = (world.rewards[1, 2] - world.rewards[0, 2]) / rows.score[2, 1]
    shifted = world.rewards[:5, 2] - world.rewards[0, 2]
    torch.testing.assert_close(rows.score[2] * slope, shifted)

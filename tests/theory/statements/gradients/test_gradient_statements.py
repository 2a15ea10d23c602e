"""T11 and T12 hold on random policies, and fail once the identity is mutated."""

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from big_world import big_world
from judging import violations_on
from torch import Tensor

from covlaw.theory.geometry.natural_gradient import damped_natural_gradient
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.gradient_rounding import is_dense
from covlaw.theory.statements._support.random_instances import RUNG, random_score
from covlaw.theory.statements.gradients import gradients_align_through_a_kernel as t11
from covlaw.theory.statements.gradients import natural_gradient_projects_the_score as t12
from covlaw.theory.statements.gradients.natural_gradient_projects_the_score import score_span
from covlaw.theory.statements.judge import judge
from covlaw.theory.worlds.world import World

IDS = ("T11", "T12")


@cache
def worlds() -> list[World]:
    return list(islice(RUNG.worlds(np.random.default_rng(4), 40), 40))


def violations(statement_id: str) -> int:
    """Violations on 40 worlds."""
    return violations_on(statement_id, worlds())


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", IDS)
def test_holds_and_its_control_is_refuted(statement_id: str) -> None:
    verdict = check(statement_id, "theory", seed=1, instances=60)
    assert verdict.status == "holds"
    assert verdict.n >= 240
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("statement_id", IDS)
def test_holds_without_dense_jacobians(statement_id: str) -> None:
    statement, world = STATEMENTS[statement_id], big_world()
    sides = statement.sides(world, np.random.default_rng(0))
    assert not is_dense(world)
    assert "scores" not in world.cache
    judgement = judge("identity", [sides])
    assert judgement is not None
    assert judgement.violations == 0
    assert float((sides.measured.abs() / sides.tolerance).min()) > 1e4  # far above rounding
    control = judge("identity", [statement.control.sides(world, np.random.default_rng(0))])
    assert control is not None
    assert control.violations > 0


@pytest.mark.parametrize("statement_id", IDS)
def test_unmutated_there_are_no_violations(statement_id: str) -> None:
    assert violations(statement_id) == 0


def test_t11_refutes_the_prompt_mass_once_instead_of_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(world: World, score: Tensor) -> Tensor:
        weight, mass = world.row_weight(), world.log_prob_at().exp()
        return (weight * mass * centred_score(world, score)) @ t11.advantages(world)

    monkeypatch.setattr(t11, "tabular_form", once)
    assert violations("T11") > 0


def test_t11_refutes_a_kernel_without_the_pairs_of_different_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def own_prompt_only(world: World, score: Tensor) -> Tensor:
        weight, scores = world.row_weight(), world.scores()
        same = world.prompt[:, None] == world.prompt
        right = (scores @ scores.T * same) @ (weight * centred_score(world, score))
        return (weight[:, None] * t11.advantages(world)).T @ right

    monkeypatch.setattr(t11, "dense_kernel_form", own_prompt_only)
    assert violations("T11") > 0


def test_t12_refutes_the_plain_gradient_in_place_of_the_natural_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain(world: World, advantage: Tensor) -> Tensor:
        return world.score_sum(world.row_weight() * advantage)

    monkeypatch.setattr(t12, "dense_natural_gradient", plain)
    assert violations("T12") > 0


def test_t12_refutes_a_projection_without_the_policys_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unweighted(world: World):
        basis = torch.linalg.svd(world.scores(), full_matrices=False)[0]
        span = score_span(world)
        return span and span._replace(basis=basis[:, : span.basis.shape[1]])

    monkeypatch.setattr(t12, "score_span", unweighted)
    assert violations("T12") > 0


def test_damping_takes_the_natural_gradient_away_from_the_projection() -> None:
    world = next(w for w in worlds() if w.tabular and len(w.prompt) > 6)
    score = random_score(world, np.random.default_rng(0))
    gradients = t11.value_gradients(world, torch.cat([world.rewards, score[:, None]], 1))
    exact = t12.natural_alignment(world, score)
    errors = []
    for damping in (1e-2, 1e-4, 1e-6):
        solution = damped_natural_gradient(world, gradients[-1], damping, tolerance=1e-12)
        errors.append(float((gradients[:-1] @ solution.direction - exact).abs().max()))
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0  # linear in δ once it is small

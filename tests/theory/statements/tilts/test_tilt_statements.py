"""T1, T2, T5, T6 hold on random policies, and fail once the identity is mutated."""

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from judging import violations_on
from torch import Tensor

from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.random_instances import RUNG, random_score
from covlaw.theory.statements.tilts import _tilt_path as tilt_path
from covlaw.theory.statements.tilts import covariance_decides_the_sign_of_small_tilts as t6
from covlaw.theory.statements.tilts import finite_tilt_is_a_covariance_with_its_weight as t2
from covlaw.theory.statements.tilts import first_order_error_is_quadratic as t5
from covlaw.theory.statements.tilts import tilt_derivative_is_a_covariance as t1
from covlaw.theory.tilts.remainder import RemainderBounds, remainder_bounds
from covlaw.theory.tilts.tilt_problem import TiltProblem
from covlaw.theory.worlds.world import World

IDS = ("T1", "T2", "T5", "T6")


@cache
def worlds() -> list[World]:
    return list(islice(RUNG.worlds(np.random.default_rng(3), 40), 40))


def violations(statement_id: str) -> int:
    """Violations on 40 worlds."""
    return violations_on(statement_id, worlds())


@pytest.mark.parametrize("statement_id", IDS)
def test_unmutated_there_are_no_violations(statement_id: str) -> None:
    assert violations(statement_id) == 0


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", IDS)
def test_holds_and_its_control_is_refuted(statement_id: str) -> None:
    verdict = check(statement_id, "theory", seed=1, instances=60)
    assert verdict.status == "holds"
    assert verdict.violations == 0
    assert verdict.n >= 300
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("statement_id", ["T1", "T2"])
def test_tolerances_are_some_thousand_roundings_and_no_more(statement_id: str) -> None:
    for k, world in enumerate(worlds()):
        sides = STATEMENTS[statement_id].sides(world, np.random.default_rng([0, k]))
        score = random_score(world, np.random.default_rng([0, k]))  # the first thing drawn
        scale = float(world.rewards.abs().max() * score.abs().max().clamp(min=1))
        assert float(sides.tolerance.max()) <= 1e-11 * scale


def test_t5_is_tight_and_below_one() -> None:
    tightness = check("T5", "theory", 0, instances=200).tightness
    assert tightness is not None
    assert 0.999 < tightness <= 1


def pooled(
    values: Tensor,
    signal: Tensor,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> Covariance:
    """The estimator without within-prompt centring (T22)."""
    assert mass is not None
    prompts, index = torch.unique(prompt, return_inverse=True)
    share = torch.full((len(prompts),), 1 / len(prompts)) if prompt_mass is None else prompt_mass
    return within_prompt_covariance(values, signal, torch.zeros_like(prompt), mass * share[index])


def test_t1_refutes_an_estimator_without_within_prompt_centring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(t1, "within_prompt_covariance", pooled)
    assert violations("T1") > 0


def test_t1_refutes_masses_that_are_not_tilted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t1, "tilt_log_ratio", lambda score, *_: torch.zeros_like(score))
    assert violations("T1") > 0


def test_t2_refutes_a_path_integral_without_centring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tilt_path, "within_prompt_covariance", pooled)
    assert violations("T2") > 0


def test_t2_refutes_a_pooled_normaliser(monkeypatch: pytest.MonkeyPatch) -> None:
    def pooled_normaliser(world: World, score: Tensor, eta: float) -> Tensor:
        weight, row = torch.exp(eta * score), world.row_weight()
        groups = (world.prompt, world.log_prob_at().exp(), world.prompt_mass)
        return within_prompt_covariance(world.rewards, weight, *groups).estimate / (row @ weight)

    monkeypatch.setattr(t2, "weight_covariance", pooled_normaliser)
    assert violations("T2") > 0


@pytest.mark.parametrize("name", ["ranges", "variance"])
def test_t5_refutes_either_bound_made_a_tenth_smaller(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smaller(*args: object) -> RemainderBounds:
        bounds = remainder_bounds(*args)
        return bounds._replace(**{name: 0.9 * getattr(bounds, name)})

    monkeypatch.setattr(t5, "remainder_bounds", smaller)
    assert violations("T5") > 0


@pytest.mark.parametrize(
    "name",
    [
        "range_threshold",
        "one_prompt_threshold",
        "one_prompt_range_threshold",
        "first_sign_change",
    ],
)
def test_t6_refutes_thresholds_made_larger(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = getattr(t6, name)

    def larger(problem: TiltProblem) -> Tensor:
        return 1.02 * true(problem)

    monkeypatch.setattr(t6, name, larger)
    assert violations("T6") > 0


def test_t6_refutes_a_threshold_that_forgets_the_covariance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_law(problem: TiltProblem) -> Tensor:
        return 12 * 3**0.5 / problem.bend

    monkeypatch.setattr(t6, "range_threshold", without_law)
    assert violations("T6") > 0

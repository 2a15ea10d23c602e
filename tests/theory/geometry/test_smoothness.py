"""Smoothness constants and step limits, and T14 on random policies and mutated."""

import math
from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.geometry.smoothness import log_linear_smoothness, step_limit, tabular_smoothness
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.gradients import third_cumulants_bound_the_curvature as t14
from covlaw.theory.statements.judge import judge
from covlaw.theory.worlds.world import World

TABULAR = math.sqrt(3) / 9
ONE_PROMPT = torch.zeros(4, dtype=torch.int64)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def exact_hessian(mass: np.ndarray, reward: np.ndarray, features: np.ndarray) -> np.ndarray:
    """E[(r − E r)(φ − E φ)(φ − E φ)ᵀ] of one prompt, by plain sums."""
    centred = features - mass @ features
    return np.einsum("k,ka,kb->ab", mass * (reward - mass @ reward), centred, centred)


def test_the_tabular_constant_is_a_thirteenth_of_the_usual_one() -> None:
    constant = tabular_smoothness(column(0, 1, 0.3, 1), ONE_PROMPT)
    assert constant.item() == pytest.approx(TABULAR, rel=1e-15)
    assert f"{TABULAR:.8f}" == "0.19245009"
    assert round(2.5 / TABULAR) == 13


@pytest.mark.parametrize("arms", [2, 3, 5, 8])
def test_the_tabular_constant_is_approached_with_any_number_of_arms(arms: int) -> None:
    best = (3 - math.sqrt(3)) / 6
    mass = np.full(arms, 1e-9)
    mass[:2] = 1 - best, best
    mass[0] -= 1e-9 * (arms - 2)
    reward = np.zeros(arms)
    reward[1] = 1
    norm = np.abs(np.linalg.eigvalsh(exact_hessian(mass, reward, np.eye(arms)))).max()
    assert norm == pytest.approx(TABULAR, rel=1e-7)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 1.0, 10.0]), st.integers(1, 6))
def test_no_hessian_exceeds_the_log_linear_constant(seed: int, spread: float, arms: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(arms, int(rng.integers(1, 4))))
    reward = rng.integers(0, 3, size=arms).astype(float)
    logits = rng.normal(scale=spread, size=arms)
    mass = np.exp(logits - logits.max())
    mass /= mass.sum()
    norm = np.abs(np.linalg.eigvalsh(exact_hessian(mass, reward, features))).max()
    prompt = torch.zeros(arms, dtype=torch.int64)
    constant = log_linear_smoothness(torch.tensor(reward), torch.tensor(features), prompt)
    assert norm <= constant.item() * (1 + 1e-13) + 1e-14 * reward.max()


def test_free_logits_are_features_of_diameter_root_two() -> None:
    values, eye = column(0, 1, 3, 2), torch.eye(4, dtype=torch.float64)
    tabular = tabular_smoothness(values, ONE_PROMPT)
    torch.testing.assert_close(log_linear_smoothness(values, eye, ONE_PROMPT), tabular)


def test_prompts_share_parameters_or_not() -> None:
    prompt = torch.tensor([5, 5, 9, 9])
    values, mass = column(0, 1, 0, 6), column(0.75, 0.25)
    free = tabular_smoothness(values, prompt, mass)
    assert free.item() == pytest.approx(TABULAR * max(0.75 * 1, 0.25 * 6))
    features = column(0, 2, 0, 1)[:, None]
    shared = log_linear_smoothness(values, features, prompt, mass)
    assert shared.item() == pytest.approx(TABULAR / 2 * (0.75 * 1 * 4 + 0.25 * 6 * 1))
    assert tabular_smoothness(values, prompt).item() == pytest.approx(TABULAR * 0.5 * 6)


def test_distances_between_prompts_do_not_count() -> None:
    prompt, features = torch.tensor([0, 0, 1, 1]), column(0, 1, 1e6, 1e6 + 1)[:, None]
    constant = log_linear_smoothness(column(0, 1, 0, 1), features, prompt)
    assert constant.item() == pytest.approx(TABULAR / 2, rel=1e-12)


def test_step_limit() -> None:
    limit = step_limit(column(2, -2, 0, 3), column(3, 4), column(1, 4, 1, 0))
    assert limit.tolist() == [4 / 25, 1 / 25, 0, math.inf]
    assert step_limit(column(0), torch.zeros(2).double(), column(1)).tolist() == [math.inf]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tabular_smoothness(column(1, 2), ONE_PROMPT), "values have shape"),
        (
            lambda: log_linear_smoothness(column(0, 1, 2, 3), column(1, 2), ONE_PROMPT),
            "features have shape",
        ),
        (
            lambda: tabular_smoothness(column(0, 1, 2, 3), ONE_PROMPT, column(0.5)),
            "prompt_mass must",
        ),
    ],
)
def test_bad_input_is_refused(call, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        call()


@cache
def worlds() -> list[World]:
    return list(islice(RUNG.worlds(np.random.default_rng(7), 40), 40))


def violations() -> int:
    statement = STATEMENTS["T14"]
    sides = [statement.sides(w, np.random.default_rng([0, k])) for k, w in enumerate(worlds())]
    judgement = judge(statement.kind, sides)
    assert judgement is not None
    return judgement.violations


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_t14_holds_and_its_control_is_refuted(seed: int) -> None:
    verdict = check("T14", "theory", seed, instances=50)
    assert verdict.status == "holds"
    assert verdict.tightness == pytest.approx(1, abs=1e-11)
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_t14_refutes_longer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations() == 0
    monkeypatch.setattr(t14, "step_limit", lambda *args: 40 * step_limit(*args))
    assert violations() > 0


def test_t14_refutes_steps_that_do_not_shrink_with_the_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unsquared(alignment: Tensor, gradient: Tensor, smoothness: Tensor) -> Tensor:
        return step_limit(alignment.sign(), gradient, smoothness)

    monkeypatch.setattr(t14, "step_limit", unsquared)
    assert violations() > 0


def test_t14_refutes_the_smallest_range_of_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    def smallest(values: Tensor, prompt: Tensor, prompt_mass: Tensor | None = None) -> Tensor:
        own = [prompt == x for x in prompt.unique()]
        parts = [tabular_smoothness(values[rows], prompt[rows]) for rows in own]
        return torch.stack(parts).amin(0) / len(parts) ** 2

    monkeypatch.setattr(t14, "tabular_smoothness", smallest)
    assert violations() > 0

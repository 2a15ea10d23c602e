"""The sampled covariance's variance and sign certificate; T20 and T21, and mutated."""

import math
from fractions import Fraction
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
import torch
from hypothesis import given
from judging import violations_on
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators import sign_certificate
from covlaw.theory.estimators.advantages import leave_one_out
from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.estimators.sign_certificate import (
    best_completions,
    mean_ratio,
    sampled_covariance_variance,
    sign_certified,
)
from covlaw.theory.statements import check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.sampling import leave_one_out_is_the_unbiased_covariance as t20
from covlaw.theory.statements.sampling import sample_covariance_variance_has_a_closed_form as t21
from covlaw.theory.tilts.tilt_problem import tilt_problem
from covlaw.theory.worlds.updates import Update

POLICY = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
REWARD, SCORE = (0, 1, 3), (2, -1, 5)
PROMPT = torch.zeros(3, dtype=torch.int64)


def column(*values: float) -> Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def estimates(samples: int) -> list[tuple[Fraction, Fraction]]:
    """(probability, Ĉ) of every batch, in rationals."""
    out = []
    for batch in product(range(3), repeat=samples):
        r, s = [REWARD[i] for i in batch], [SCORE[i] for i in batch]
        mean_r, mean_s = Fraction(sum(r), samples), Fraction(sum(s), samples)
        total = sum((a - mean_r) * (b - mean_s) for a, b in zip(r, s, strict=True))
        chance = math.prod((POLICY[i] for i in batch), start=Fraction(1))
        out.append((chance, Fraction(total) / (samples - 1)))
    return out


@pytest.mark.parametrize("samples", [2, 3, 4, 5])
def test_variance_of_one_prompt_in_exact_rationals(samples: int) -> None:
    every = estimates(samples)
    mean = sum(p * c for p, c in every)
    variance = sum(p * (c - mean) ** 2 for p, c in every)
    computed = sampled_covariance_variance(
        column(*REWARD), column(*SCORE), samples, 1, PROMPT, column(*POLICY)
    )
    assert computed.item() == pytest.approx(float(variance), rel=1e-13)


def test_more_prompts_divide_the_variance_and_their_spread_counts() -> None:
    prompt, mass = torch.tensor([0, 0, 1, 1]), torch.full((4,), 0.5).double()
    values, score = column(0, 1, 0, 3), column(0, 1, 1, 0)
    one = sampled_covariance_variance(values, score, 2, 1, prompt, mass)
    four = sampled_covariance_variance(values, score, 2, 4, prompt, mass)
    assert four.item() == one.item() / 4
    # Ĉ of a pair is 0 or the product of gaps over 2: C_x = 1/4 and −3/4
    second_moment = (0.5 * 0.25 + 0.5 * 9 * 0.25) / 2
    assert one.item() == pytest.approx(second_moment - 0.25**2)


@given(bandits())
def test_the_best_group_size_minimises_the_variance_of_a_budget(bandit: Bandit) -> None:
    problem = tilt_problem(bandit.rewards, bandit.score, bandit.groups)
    best = best_completions(problem)
    for objective in torch.isfinite(best).nonzero()[:, 0].tolist():
        values = bandit.rewards[:, objective]

        def cost(size: int, values: Tensor = values) -> float:
            args = (values, bandit.score, size, 1, *bandit.groups)
            return size * float(sampled_covariance_variance(*args))

        low = min(max(2, math.floor(float(best[objective]))), 10**6)
        near = min(cost(low), cost(low + 1))
        for other in (2, 3, 7, 64, 10**4):
            assert near <= cost(other) * (1 + 1e-9)


def test_a_few_completions_are_best_where_prompts_differ() -> None:
    prompt, mass = torch.tensor([0, 0, 1, 1]), torch.full((4,), 0.5).double()
    problem = tilt_problem(column(0, 1, 0, 1), column(0, 1, 1, 0), Grouping(prompt, mass))
    # σ²σ² + C² = 1/8 in both prompts and Var C = 1/16
    assert best_completions(problem).item() == pytest.approx(1 + math.sqrt(2))
    same = tilt_problem(column(0, 1, 0, 1), column(0, 1, 0, 1), Grouping(prompt, mass))
    assert best_completions(same).item() == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: sampled_covariance_variance(column(0, 1, 2), column(0, 1, 2), 1, 1, PROMPT),
        lambda: sampled_covariance_variance(column(0, 1, 2), column(0, 1, 2), 2, 0, PROMPT),
        lambda: sign_certified(Covariance(*[column(1)] * 2, column(1)[:, None], PROMPT[:1])),
        lambda: mean_ratio(within_prompt_covariance(column(0, 1, 2), column(0, 1, 2), PROMPT)),
    ],
)
def test_bad_input_is_refused(call) -> None:
    with pytest.raises(CovlawError):
        call()


@cache
def instances(statement_id: str) -> list[object]:
    rng = np.random.default_rng(8)
    draw = RUNG.updates if statement_id == "T20" else RUNG.worlds
    return list(islice(draw(rng, 30), 30))


def violations(statement_id: str) -> int:
    return violations_on(statement_id, instances(statement_id))


@pytest.mark.parametrize("statement_id", ["T20", "T21"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(statement_id: str, seed: int) -> None:
    verdict = check(statement_id, "theory", seed, instances=40)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_t20_refutes_an_advantage_off_by_a_millionth(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations("T20") == 0

    def off(score: Tensor, groups: Groups) -> Tensor:
        return leave_one_out(score, groups) * 1.000001

    monkeypatch.setattr(t20, "NORMALISERS", {"rloo": off})
    assert violations("T20") > 0


def test_t20_on_samples_takes_their_own_groups() -> None:
    prompt, zero = torch.tensor([0, 0, 1, 1, 1]), torch.zeros(5).double()
    sampled = Rollouts(prompt, column(0, 1, 2, 0, 4)[:, None], ("r",))
    score = column(1, 3, -2, 5, 0)
    fields = ScoreFields(score, *(zero for _ in ScoreFields._fields[1:]))
    sides = t20.sides(Update("s", sampled, fields, zero[:1], zero[:1]), np.random.default_rng(0))
    assert sides.predicted.tolist() == pytest.approx([1.0, -5.0])
    assert sides.measured.tolist() == pytest.approx([1.0, -5.0])


@pytest.mark.parametrize("part", ["between", "spread", "product"])
def test_t21_refutes_a_variance_without_one_of_its_parts(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert violations("T21") == 0
    true = sign_certificate.covariance_moments

    def without(problem):
        moments = true(problem)
        return moments._replace(**{part: torch.zeros_like(moments.between)})

    monkeypatch.setattr(sign_certificate, "covariance_moments", without)
    assert violations("T21") > 0


def test_t21_refutes_an_estimator_that_divides_by_k(monkeypatch: pytest.MonkeyPatch) -> None:
    def plug_in(values: Tensor, signal: Tensor, prompt: Tensor) -> Covariance:
        own = within_prompt_covariance(values, signal, prompt)
        counts = torch.unique(prompt, return_counts=True)[1].double()
        return own._replace(per_prompt=own.per_prompt * ((counts - 1) / counts)[:, None])

    monkeypatch.setattr(t21, "within_prompt_covariance", plug_in)
    assert violations("T21") > 0

"""T3 and T4 hold on random policies, and fail once the formula is mutated."""

import math
from fractions import Fraction
from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from judging import violations_on
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor, explicit_bandit
from covlaw.theory.statements.tilts import third_cumulants_are_bounded_by_the_ranges as t4
from covlaw.theory.statements.tilts import tilt_series_is_made_of_joint_cumulants as t3
from covlaw.theory.statements.tilts._cumulants import joint_cumulants
from covlaw.theory.statements.tilts._tilted_means import partition_turns
from covlaw.theory.worlds.world import World

HALF = Fraction(1, 2)


@cache
def worlds() -> list[World]:
    return list(islice(RUNG.worlds(np.random.default_rng(5), 30), 30))


def violations(statement_id: str) -> int:
    return violations_on(statement_id, worlds())


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", ["T3", "T4"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(statement_id: str, seed: int) -> None:
    verdict = check(statement_id, "theory", seed, instances=40)
    assert verdict.status == "holds"
    assert verdict.n >= 350
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_unmutated_there_are_no_violations() -> None:
    assert violations("T3") == violations("T4") == 0


def test_t3_refutes_masses_that_are_not_tilted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t3, "tilt_log_ratio", lambda score, *_: torch.zeros_like(score))
    assert violations("T3") > 0


def test_t3_refutes_a_factorial_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t3, "factorials", lambda n: torch.ones(n, 1, dtype=torch.float64))
    assert violations("T3") > 0


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_t3_refutes_any_single_order_off_by_a_millionth(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(values: Tensor, score: Tensor, orders: int, rows: Grouping) -> Tensor:
        own = joint_cumulants(values, score, orders, rows)
        own[order - 1] *= 1 + 1e-6
        return own

    monkeypatch.setattr(t3, "joint_cumulants", off)
    assert violations("T3") > 0


def test_t3_refutes_a_tail_that_assumes_twice_the_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    # the fair coin at strength 2 misses more than the tail at strength 1 after 32 terms
    coin = explicit_bandit("coin", (HALF, HALF), (0, 1))
    part = t3._series_sides(coin, as_tensor((0, 1)), 2.0)
    assert float((part[0] - part[1]).abs()) <= float(part[2])
    true = t3.series_tail
    monkeypatch.setattr(t3, "series_tail", lambda r, strength, n: true(r, strength / 2, n))
    monkeypatch.setattr(t3, "recursion_growth", lambda *_: 1.0)
    part = t3._series_sides(coin, as_tensor((0, 1)), 2.0)
    assert float((part[0] - part[1]).abs()) > float(part[2])


def test_t3_counts_the_zeros_of_a_fair_coin_just_outside_its_radius() -> None:
    coin = explicit_bandit("coin", (HALF, HALF), (0, 1))
    score = np.array([0.0, 1.0])
    counts = [partition_turns(coin, score, f * math.pi).item() for f in (0.9, 1.1, 2.9, 3.1)]
    assert counts == [0, 2, 2, 4]  # at ±πi, then ±3πi


@pytest.mark.parametrize("statement_id", ["T3", "T4"])
def test_tolerances_are_some_thousand_roundings_and_no_more(statement_id: str) -> None:
    for k, world in enumerate(worlds()):
        sides = STATEMENTS[statement_id].sides(world, np.random.default_rng([0, k]))
        derivatives = 2 * t3.ORDERS * world.rewards.shape[1]  # the series has its tail besides
        exact = sides.tolerance[:derivatives] if statement_id == "T3" else sides.tolerance
        reach = float((world.rewards.amax(0) - world.rewards.amin(0)).max().clamp(min=1))
        size = 40.0 if statement_id == "T4" else 1.0  # S² of a normal score
        assert float(exact.max()) <= 1e-11 * reach * size


def test_t4_is_attained() -> None:
    tightness = check("T4", "theory", 0, instances=20).tightness
    assert tightness is not None
    assert 1 - 1e-11 < tightness <= 1


def test_t4_refutes_a_constant_a_billionth_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t4, "THIRD_CUMULANT", t4.THIRD_CUMULANT * (1 - 1e-9))
    assert violations("T4") > 0


def test_t4_refutes_the_range_of_the_score_instead_of_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = t4.tilt_problem

    def rooted(*args: object):
        problem = true(*args)
        return problem._replace(scores=problem.scores._replace(range=problem.scores.range.sqrt()))

    monkeypatch.setattr(t4, "tilt_problem", rooted)
    assert violations("T4") > 0

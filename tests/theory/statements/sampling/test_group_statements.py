"""T22 and T23 hold and fail once mutated; the shrink of finite groups by enumeration."""

import math
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import violations_on
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS, centred
from covlaw.theory.statements import check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.sampling import group_std_reweights_prompts_and_shrinks as t23
from covlaw.theory.statements.sampling import pooled_covariance_adds_that_of_the_prompt_means as t22
from covlaw.theory.statements.sampling._group_shrink import two_valued_shrink


@cache
def instances(statement_id: str) -> list[object]:
    rng = np.random.default_rng(9)
    draw = RUNG.updates if statement_id == "T22" else RUNG.worlds
    return list(islice(draw(rng, 30), 30))


def violations(statement_id: str) -> int:
    return violations_on(statement_id, instances(statement_id))


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", ["T22", "T23"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(statement_id: str, seed: int) -> None:
    verdict = check(statement_id, "theory", seed, instances=30)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_t22_refutes_means_that_are_not_weighted_by_their_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert violations("T22") == 0
    true = t22.means_covariance

    def halved(*args: Tensor) -> Tensor:
        return true(*args) / 2

    monkeypatch.setattr(t22, "means_covariance", halved)
    assert violations("T22") > 0


@pytest.mark.parametrize(("size", "factor"), [(2, 0.28), (4, 0.57), (8, 0.79), (16, 0.91)])
def test_shrink_of_a_pass_rate_of_a_fifth(size: int, factor: float) -> None:
    assert round(float(two_valued_shrink(0.2, size)), 2) == factor


@given(st.integers(1, 99), st.integers(2, 6))
def test_shrink_is_the_enumerated_mean_of_the_groups_std(percent: int, size: int) -> None:
    p, total = percent / 100, 0.0
    for group in product((0, 1), repeat=size):
        chance = math.prod(p if high else 1 - p for high in group)
        total += chance * float(np.std(group, ddof=1))
    expected = (size - 1) / size * total / math.sqrt(p * (1 - p))
    assert float(two_valued_shrink(p, size)) == pytest.approx(expected, rel=1e-12)


def test_shrink_vanishes_slowly_with_the_size_of_the_group() -> None:
    factors = [float(two_valued_shrink(0.5, k)) for k in (2, 8, 32, 128, 512)]
    assert factors == sorted(factors)
    assert 0.99 < factors[-1] < 1


@pytest.mark.parametrize(("p", "size"), [(0.2, 1), (0.0, 4), (1.0, 4), (math.nan, 4)])
def test_shrink_refuses_bad_input(p: float, size: int) -> None:
    with pytest.raises(CovlawError):
        two_valued_shrink(p, size)


def test_t23_refutes_a_std_with_ddof_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations("T23") == 0

    def population(score: Tensor, groups) -> Tensor:
        own = NORMALISERS["grpo"](score, groups)
        counts = groups.spread(groups.counts.double())
        return own * (counts / (counts - 1)).sqrt()

    monkeypatch.setattr(t23, "NORMALISERS", {"grpo": population})
    assert violations("T23") > 0


def test_t23_refutes_an_advantage_that_is_only_centred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t23, "NORMALISERS", {"grpo": centred})
    assert violations("T23") > 0


def test_t23_refutes_a_shrink_without_its_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_big(p: Tensor, size: int) -> Tensor:
        return two_valued_shrink(p, size) * size / (size - 1)

    monkeypatch.setattr(t23, "two_valued_shrink", too_big)
    assert violations("T23") > 0

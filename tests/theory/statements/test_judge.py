"""The judge: what counts as a violation, for exact and for sampled sides."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

from covlaw.theory.statements import check_on
from covlaw.theory.statements.base import Kind, NegativeControl, Sides, Statement
from covlaw.theory.statements.judge import ERROR_RATE, critical_value, judge

NAN, INF = math.nan, math.inf


def sides(
    measured: float, predicted: float, tolerance: float = 0.0, error: float | None = None
) -> Sides:
    values = (torch.tensor([x], dtype=torch.float64) for x in (measured, predicted, tolerance))
    return Sides(*values, None if error is None else torch.tensor([error], dtype=torch.float64))


def holds(kind: Kind, *side: Sides) -> bool:
    judgement = judge(kind, side)
    assert judgement is not None
    return judgement.violations == 0


@pytest.mark.parametrize(
    ("kind", "measured", "predicted", "tolerance", "expected"),
    [
        ("identity", 1.0, 1.0, 0.0, True),
        ("identity", 1.0, 1.25, 0.25, True),
        ("identity", 1.0, 1.25, 0.2, False),
        ("bound", 1.0, 1.0, 0.0, True),
        ("bound", -5.0, 1.0, 0.0, True),
        ("bound", 1.25, 1.0, 0.2, False),
        ("bound", 1.25, 1.0, 0.25, True),
        ("sign", 1.0, 2.0, 0.0, True),
        ("sign", -1.0, -2.0, 0.0, True),
        ("sign", -1.0, 2.0, 0.0, False),
        ("sign", -0.1, 2.0, 0.1, True),
        ("sign", -1.0, 0.0, 0.0, True),
        ("counterexample", -1.0, 2.0, 0.0, True),
        ("counterexample", 1.0, -2.0, 0.5, True),
        ("counterexample", 1.0, 2.0, 0.0, False),
        ("counterexample", -0.1, 2.0, 0.2, False),
        ("counterexample", 0.0, 2.0, 0.0, False),
        ("counterexample", -1.0, 0.0, 0.0, False),
    ],
)
def test_each_kind_draws_its_own_line(
    kind: Kind, measured: float, predicted: float, tolerance: float, expected: bool
) -> None:
    assert holds(kind, sides(measured, predicted, tolerance)) is expected


@pytest.mark.parametrize("kind", ["identity", "bound", "sign", "counterexample"])
@pytest.mark.parametrize(
    "broken", [(NAN, 1, 1), (1, NAN, 1), (1, 1, NAN), (1, 1, INF), (-INF, 1, 1)]
)
def test_a_side_that_is_not_finite_is_a_violation(
    kind: Kind, broken: tuple[float, float, float]
) -> None:
    assert not holds(kind, sides(*broken))


def test_numbers_that_are_not_finite_refute_no_control() -> None:
    """A violation of a claim, yet no evidence against a false variant."""
    zero = torch.zeros(1)

    def check_with(control: Sides) -> str:
        statement = Statement(
            *("T0", "zero is zero", "identity", "0 = 0", "0=0", (), "none", int),
            sides=lambda *_: sides(0.0, 0.0),
            control=NegativeControl("wrong", lambda *_: control),
        )
        return check_on(statement, [0], "theory").status

    for broken in ((NAN, 1.0, 0.0), (1.0, 2.0, INF), (INF, 1.0, 1.0)):
        judgement = judge("identity", [sides(*broken)])
        assert judgement is not None
        assert (judgement.violations, judgement.finite) == (1, 0)
        assert check_with(sides(*broken)) == "inconclusive"
    assert check_with(sides(1.0, 2.0)) == "holds"
    assert check_with(Sides(zero, zero, zero)) == "inconclusive"


def test_nothing_to_compare_is_no_judgement() -> None:
    empty = torch.empty(0)
    assert judge("identity", []) is None
    assert judge("identity", [Sides(empty, empty, empty)]) is None


def test_the_worst_comparison_is_reported() -> None:
    good, bad, worse = sides(1.0, 1.0, 0.1), sides(1.0, 1.2, 0.1), sides(1.0, 1.2, 0.01)
    judgement = judge("identity", [good, bad, worse, good])
    assert judgement is not None
    assert (judgement.n, judgement.violations) == (4, 2)
    assert judgement.tolerance == 0.01
    hidden = judge("identity", [good, sides(NAN, 1.0, 0.1), bad])
    assert hidden is not None
    assert math.isnan(hidden.measured)


def test_standard_errors_widen_the_tolerance_by_bonferronis_quantile() -> None:
    z = NormalDist().inv_cdf(1 - ERROR_RATE / 4)  # two comparisons, two sides
    assert abs(critical_value(2) - z) < 1e-12  # two libraries' quantiles, each to a few ulps
    near, far = sides(0.0, z * 0.999, 0.0, 1.0), sides(0.0, z * 1.001, 0.0, 1.0)
    assert holds("identity", near, near)
    assert not holds("identity", near, far)
    exact = sides(0.0, 1e-9)  # an exact comparison gets no allowance from its sampled neighbours
    assert not holds("identity", near, exact)


def test_true_claims_are_refuted_at_the_stated_rate_only() -> None:
    """1,000 verdicts of 20 sampled comparisons each: refutations follow Binomial(1000, 0.001)."""
    draws = np.random.default_rng(3).normal(size=(1000, 20))
    zero, one = torch.zeros(20), torch.ones(20)
    refuted = sum(
        judge("identity", [Sides(torch.as_tensor(x), zero, zero, one)]).violations > 0
        for x in draws
    )
    assert refuted <= 7  # P(Binomial(1000, 0.001) > 7) = 1e-5
    doubled = sum(
        judge("identity", [Sides(torch.as_tensor(2 * x), zero, zero, one)]).violations > 0
        for x in draws
    )
    assert doubled > 7  # errors understated by half are found out


def test_tightness_is_the_share_of_the_bound_that_is_surely_reached() -> None:
    judgement = judge("bound", [sides(0.5, 1.0), sides(1.9, 2.0, 0.1), sides(0.0, 0.0)])
    assert judgement is not None
    assert judgement.tightness == pytest.approx(0.9)
    rounding_level = judge("bound", [sides(5e-17, 1e-17, 1e-16)])
    assert rounding_level is not None
    assert rounding_level.tightness is not None
    assert rounding_level.tightness <= 1
    identity = judge("identity", [sides(0.5, 1.0)])
    assert identity is not None
    assert identity.tightness is None

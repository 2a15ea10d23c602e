"""Law budgets by learning rate: exact sums, proportional first order, quadratic curvature."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.measurements.budgets import RATES, measure

OBJECTIVES = ("accuracy", "conciseness", "clarity")
CASES = [(optimiser, objective) for optimiser in RATES for objective in OBJECTIVES]
SHORT = ("law", "direction", "logit", "tilt")

Reading = Callable[[dict[str, Any]], float]


@cache
def records(quick: bool) -> list[dict[str, Any]]:
    return measure(seed=0, quick=quick)


@pytest.mark.slow
def test_another_seed_measures_something_else() -> None:
    assert measure(seed=1, quick=True) != records(quick=True)


def series(optimiser: str, objective: str, reading: Reading, quick: bool = True) -> Tensor:
    """One number a learning rate, in the order of RATES."""
    wanted = (optimiser, objective)
    chosen = [r for r in records(quick) if (r["optimiser"], r["objective"]) == wanted]
    assert tuple(r["learning_rate"] for r in chosen) == RATES[optimiser]
    return torch.tensor([reading(r) for r in chosen], dtype=torch.float64)


def error(optimiser: str, objective: str, quick: bool = True) -> Tensor:
    """Rounding of a budget's terms: each is a sum over the completions of its fields' products."""
    size = series(optimiser, objective, lambda r: sum(map(abs, r["terms"].values())), quick)
    bound = series(optimiser, objective, lambda r: r["short"]["bound"], quick)
    completions, depth = (242, 1160) if quick else (1562, 1200)
    return rounding(1 + size + bound, 4 * completions + depth)


def check_sums(optimiser: str, objective: str, quick: bool) -> None:
    realised = series(optimiser, objective, lambda r: r["realised"], quick)
    full = series(optimiser, objective, lambda r: sum(r["terms"].values()), quick)
    short = series(optimiser, objective, lambda r: sum(r["short"][p] for p in SHORT), quick)
    allowed = error(optimiser, objective, quick)
    assert bool(((full - realised).abs() <= allowed).all())
    assert bool(((short - realised).abs() <= allowed).all())


@pytest.mark.parametrize(("optimiser", "objective"), CASES)
def test_terms_add_up_to_the_realised_change(optimiser: str, objective: str) -> None:
    check_sums(optimiser, objective, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize(("optimiser", "objective"), CASES)
def test_terms_of_the_full_size_add_up(optimiser: str, objective: str) -> None:
    check_sums(optimiser, objective, quick=False)


@pytest.mark.parametrize(("optimiser", "objective"), CASES)
def test_first_order_terms_are_proportional_to_the_rate(optimiser: str, objective: str) -> None:
    rates = torch.tensor(RATES[optimiser], dtype=torch.float64)
    allowed = error(optimiser, objective)
    for part in ("law", "direction"):
        term = series(optimiser, objective, lambda r: r["short"][part])  # noqa: B023
        expected = term[-1] * rates / rates[-1]
        slack = allowed + allowed[-1] * rates / rates[-1]
        assert bool(((term - expected).abs() <= slack).all())


@pytest.mark.parametrize(("optimiser", "objective"), CASES)
def test_curvature_is_of_second_order(optimiser: str, objective: str) -> None:
    rates = torch.tensor(RATES[optimiser], dtype=torch.float64)
    curvature = series(optimiser, objective, lambda r: abs(r["short"]["logit"]))
    order = (curvature[1] / curvature[0]).log() / (rates[1] / rates[0]).log()
    assert round(float(order)) == 2


@pytest.mark.parametrize("optimiser", RATES)
def test_the_law_stops_holding_between_the_smallest_and_the_largest_rate(optimiser: str) -> None:
    def bent(record: dict[str, Any]) -> float:
        short = record["short"]
        return abs(short["logit"] + short["tilt"]) - abs(short["law"] + short["direction"])

    outcomes = torch.stack([series(optimiser, j, bent) for j in OBJECTIVES])
    assert bool((outcomes[:, 0] < 0).all())  # the first order decides each objective
    assert optimiser == "AdamW" or bool((outcomes[:, -1] > 0).any())  # curvature decides some


def test_sgd_has_no_optimiser_gap_and_the_others_have_one() -> None:
    for optimiser, objective in CASES:
        gap = series(optimiser, objective, lambda r: abs(r["terms"]["optimiser"]))
        assert bool((gap > error(optimiser, objective)).all()) == (optimiser != "SGD")


def test_records_are_plain_json_and_say_how_the_natural_gradient_was_solved() -> None:
    written = records(True)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert len(written) == 3 * 4 * 3
    for record in written:
        solved = "damping 0.001, CG residual" in record["note"]
        assert solved == (record["optimiser"] == "natural gradient")


def test_clarity_pays_for_the_others() -> None:
    """The picture that the records are for: the law announces the fall, and it happens."""
    for optimiser in RATES:
        law = series(optimiser, "clarity", lambda r: r["short"]["law"])
        realised = series(optimiser, "clarity", lambda r: r["realised"])
        assert bool((law < 0).all())
        assert bool((realised[:2] < 0).all())

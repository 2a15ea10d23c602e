"""T49, F10: the certificate of the exact example, its numbers, and a mutation."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence import a_sum_of_pl_functions_need_not_be_pl as t49
from covlaw.theory.statements.false_claims import pl_objectives_do_not_add_up_to_a_pl_sum as f10


def test_bumpy_pl_constant_by_minimisation() -> None:
    def ratio(x: float) -> float:
        f = x**2 + 3 * np.sin(x) ** 2
        return float((2 * x + 3 * np.sin(2 * x)) ** 2 / (2 * f))

    least = minimize_scalar(ratio, bounds=(2, 2.4), method="bounded", options={"xatol": 1e-12})
    assert least.fun == pytest.approx(0.17553, abs=1e-5)
    assert least.x == pytest.approx(2.2017, abs=1e-4)
    assert least.fun > bumpy.PL


def test_the_certificate_refuses_a_constant_that_is_too_big() -> None:
    upper, lower = bumpy.pl_margin(0.1756)
    assert bool((upper > lower).any())


def test_the_certificate_encloses_the_function() -> None:
    upper, lower = bumpy.pl_margin(cells=50)
    edges = np.linspace(0.25, 8, 51)
    points = torch.as_tensor(np.random.default_rng(0).uniform(edges[:-1], edges[1:], (200, 50)))
    assert bool((2 * bumpy.PL * bumpy.value(points) <= upper[:50] + 1e-12).all())
    assert bool((bumpy.slope(points).square() >= lower[:50] - 1e-12).all())


def test_t49_quoted_values_and_a_mutation(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.tensor([0.3835, t49.BEST], dtype=torch.float64)
    assert [round(v, 3) for v in t49.total(points).tolist()] == [4.224, 3.939]
    root = float((t49.SPURIOUS[0] + t49.SPURIOUS[1]) / 2)
    assert root == pytest.approx(0.38356, abs=2e-5)
    monkeypatch.setattr(t49, "SPURIOUS", (0.39, 0.3901))  # no minimum there
    assert check("T49", "theory", 0).status == "refuted"


def test_f10_stays_at_a_gap_of_285() -> None:
    sides = f10.sides(f10.Starts(torch.tensor([0.3835], dtype=torch.float64)), None)
    assert -sides.measured.item() == pytest.approx(0.285, abs=0.01)
    assert STATEMENTS["F10"].kind == "counterexample"

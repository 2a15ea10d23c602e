"""Performance estimation (PEPit, Clarabel) as a referee of the closed-form PL factor."""

import pytest

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.pl_rates import classic_rate, improved_rate
from covlaw.theory.statements.convergence import _pepit_rates as pepit_rates
from covlaw.theory.statements.convergence._pepit_rates import performance_estimation_rate

SOLVER = 1e-6
"""Clarabel stops at a relative gap of 1e-8; the optimum's conditioning costs up to two digits."""

CASES = [(mu, g) for mu in (0.05, 0.2, 0.6) for g in (0.3, 1.0, 1.3, 1.9)]


@pytest.fixture(autouse=True)
def _pepit() -> None:
    pytest.importorskip("PEPit")


@pytest.mark.parametrize(("mu", "length"), CASES)
def test_the_closed_form_is_what_the_plain_conditions_leave(mu: float, length: float) -> None:
    found = performance_estimation_rate(mu, 1.0, length)
    assert found == pytest.approx(improved_rate(mu, 1.0, length).item(), abs=SOLVER)
    assert found < classic_rate(mu, 1.0, length).item() - SOLVER


@pytest.mark.parametrize(("mu", "length"), CASES)
def test_refined_conditions_leave_less_but_more_than_the_quadratics(
    mu: float, length: float
) -> None:
    found = performance_estimation_rate(mu, 1.0, length, refined=True)
    assert found <= improved_rate(mu, 1.0, length).item() + SOLVER
    assert found >= max((1 - mu * length) ** 2, (1 - length) ** 2) - SOLVER


def test_quoted_value_and_units() -> None:
    assert performance_estimation_rate(0.4, 2.0, 0.5, True) == pytest.approx(0.6833, abs=5e-5)


def test_without_the_extra_it_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(pepit_rates, "import_module", missing)
    with pytest.raises(CovlawError, match=r"'PEPit.*pip install 'covlaw\[pepit\]'"):
        performance_estimation_rate(0.2, 1.0, 1.0)


def test_a_failed_solve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from PEPit import PEP

    monkeypatch.setattr(PEP, "solve", lambda self, **_: None)
    with pytest.raises(CovlawError, match=r"performance estimation failed at μ=0\.2"):
        performance_estimation_rate(0.2, 1.0, 1.0)

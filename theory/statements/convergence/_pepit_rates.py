"""Worst-case rates by performance estimation: a referee for `pl_rates` (T41), extra `pepit`."""

from importlib import import_module
from types import ModuleType

from covlaw.theory._numerics.errors import CovlawError


def performance_estimation_rate(
    mu: float, smoothness: float, step: float, refined: bool = False
) -> float:
    """Largest (f(x⁺) − f*)/(f(x) − f*) that known conditions on smooth PL functions leave (T41).

    A semidefinite programme (PEPit; Goujaud et al. 2024), solved by the open-source Clarabel to
    about 1e-8. The plain conditions (smooth interpolation and PL at x, x⁺ and x*) leave exactly
    `improved_rate`; the refined ones of Rubbens, Hendrickx & Taylor 2025 leave less. Both are only
    necessary, so that either value is an upper bound for the class.

    Args:
        mu: PL constant, 0 < μ ≤ L.
        smoothness: L.
        step: γ, 0 ≤ γ ≤ 2/L.
        refined: Use the stronger, dearer conditions.

    Raises:
        CovlawError: if the extra `pepit` is not installed, or the solver fails.
    """
    kind = "Expensive" if refined else "Cheap"
    function_class = getattr(_pepit("PEPit.functions"), f"SmoothQuadraticLojasiewiczFunction{kind}")
    problem = _pepit("PEPit").PEP()
    f = problem.declare_function(function_class, L=smoothness, mu=mu)
    least = f(f.stationary_point())
    start = problem.set_initial_point()
    problem.set_initial_condition(f(start) - least <= 1)
    problem.set_performance_metric(f(start - step * f.gradient(start)) - least)
    rate = problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
    if rate is None:
        raise CovlawError(f"performance estimation failed at μ={mu}, L={smoothness}, γ={step}")
    return float(rate)


def _pepit(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CovlawError(
            f"performance estimation needs the package {error.name!r}: pip install 'covlaw[pepit]'"
        ) from error

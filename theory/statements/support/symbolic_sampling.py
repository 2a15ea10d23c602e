"""SymPy derivation of the unbiased covariance from K samples (T19), for any distribution.

Independence is all that is used: E r_k s_k = μ11, and E r_k s_l = μ10·μ01 for k ≠ l.
"""

from typing import Any

import sympy as sp

_MU11, _MU10, _MU01 = sp.symbols("mu11 mu10 mu01", real=True)


def bias_residual(samples: int, divisor: int | None = None) -> Any:
    """E[Σ(r_k − r̄)(s_k − s̄)/divisor] − Cov(r, s); 0 for the divisor K − 1 (the default) only."""
    r = sp.symbols(f"r1:{samples + 1}", real=True)
    s = sp.symbols(f"s1:{samples + 1}", real=True)
    mean_r, mean_s = sum(r) / samples, sum(s) / samples
    total = sum((a - mean_r) * (b - mean_s) for a, b in zip(r, s, strict=True))
    estimate = sp.Poly(sp.expand(total / (divisor or samples - 1)), *r, *s)
    expectation = sum(
        coefficient * _expectation(powers[:samples], powers[samples:])
        for powers, coefficient in estimate.terms()
    )
    return sp.simplify(expectation - (_MU11 - _MU10 * _MU01))


def _expectation(in_r: tuple[int, ...], in_s: tuple[int, ...]) -> Any:
    """E of the monomial r_k·s_l given by its exponents; the estimate holds no other kind."""
    if sum(in_r) != 1 or sum(in_s) != 1:
        raise ValueError(f"not a product r_k·s_l: exponents {in_r}, {in_s}")
    return _MU11 if in_r == in_s else _MU10 * _MU01

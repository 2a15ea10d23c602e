"""SymPy derivations for K samples, any distribution: 0 if and only if it holds (T19, T20, T21).

Independence is all that is used: E r_k s_k = μ11, and E r_k s_l = μ10·μ01 for k ≠ l.
"""

from functools import cache
from typing import Any

import sympy as sp

_MU11, _MU10, _MU01 = sp.symbols("mu11 mu10 mu01", real=True)


def bias_residual(samples: int, divisor: int | None = None) -> Any:
    """E[Σ(r_k − r̄)(s_k − s̄)/divisor] − Cov(r, s); 0 for the divisor K − 1 (the default) only."""
    r, s = _samples(samples)
    estimate = sp.Poly(sp.expand(_products(r, s) / (divisor or samples - 1)), *r, *s)
    expectation = sum(
        coefficient * _expectation(powers[:samples], powers[samples:])
        for powers, coefficient in estimate.terms()
    )
    return sp.simplify(expectation - (_MU11 - _MU10 * _MU01))


def bias_residual_any_size(plug_in: bool = False) -> Any:
    """E[Σ_k r_k s_k − (1/K) Σ_{k,l} r_k s_l]/(K − 1) − Cov(r, s), any K; `plug_in` divides by K.

    E r_k s_l = μ10·μ01 + δ_kl(μ11 − μ10·μ01).
    """
    size, k, m = (sp.Symbol(name, integer=True, positive=True) for name in ("K", "k", "l"))

    def entry(first: Any, second: Any) -> Any:
        return _MU10 * _MU01 + sp.KroneckerDelta(first, second) * (_MU11 - _MU10 * _MU01)

    diagonal = sp.Sum(entry(k, k), (k, 1, size)).doit()
    row = sp.refine(sp.Sum(entry(k, m), (m, 1, size)).doit(), sp.Q.ge(size, k))
    square = sp.Sum(row, (k, 1, size)).doit()
    estimate = (diagonal - square / size) / (size if plug_in else size - 1)
    return sp.simplify(estimate - (_MU11 - _MU10 * _MU01))


def leave_one_out_residual(samples: int, own: bool = False) -> Any:
    """(1/K) Σ r_k (s_k − mean_{l≠k} s_l) − Ĉ; with the `own` score in the mean it is false."""
    r, s = _samples(samples)
    others = [sum(s) / samples if own else (sum(s) - b) / (samples - 1) for b in s]
    shown = sum(a * (b - m) for a, b, m in zip(r, s, others, strict=True)) / samples
    return sp.expand(shown - _products(r, s) / (samples - 1))


def leave_one_out_any_size(divisor_shift: int = 1) -> Any:
    """The same for any K, in terms of p = Σ r_k s_k, a = Σ r_k, b = Σ s_k; false unless shift is 1.

    Σ r_k(s_k − (b − s_k)/(K − 1)) = p − (ab − p)/(K − 1), and Σ(r_k − r̄)(s_k − s̄) = p − ab/K.
    """
    size, p, a, b = sp.symbols("K p a b", real=True)
    shown = (p - (a * b - p) / (size - 1)) / size
    return sp.simplify(shown - (p - a * b / size) / (size - divisor_shift))


def variance_residual(samples: int, normal: bool = False) -> Any:
    """Var Ĉ − (μ22 − C²)/K − (σ_r²σ_s² + C²)/(K(K−1)), means 0 without loss of generality.

    `normal` takes (σ_r²σ_s² + C²)/(K − 1) instead, which holds for normal (r, s) only.
    """
    r, s = _samples(samples)
    estimate = _products(r, s) / (samples - 1)
    square = sp.Poly(sp.expand(estimate**2), *r, *s)
    second = sum(
        coefficient * sp.prod([_moment(powers[k], powers[samples + k]) for k in range(samples)])
        for powers, coefficient in square.terms()
    )
    covariance, product = _moment(1, 1), _moment(2, 0) * _moment(0, 2) + _moment(1, 1) ** 2
    pairs = samples * (samples - 1)
    forecast = (_moment(2, 2) - covariance**2) / samples + product / pairs
    forecast = product / (samples - 1) if normal else forecast
    return sp.expand(second - covariance**2 - forecast)


def _samples(count: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return tuple(sp.symbols(f"{name}1:{count + 1}", real=True) for name in "rs")


def _products(r: tuple[Any, ...], s: tuple[Any, ...]) -> Any:
    """Σ_k (r_k − r̄)(s_k − s̄)."""
    mean_r, mean_s = sum(r) / len(r), sum(s) / len(s)
    return sum((a - mean_r) * (b - mean_s) for a, b in zip(r, s, strict=True))


@cache
def _moment(in_r: int, in_s: int) -> Any:
    """μ_ab = E r^a s^b of centred r and s."""
    if in_r + in_s == 1:
        return sp.Integer(0)
    return sp.Symbol(f"mu{in_r}{in_s}", real=True) if in_r + in_s else sp.Integer(1)


def _expectation(in_r: tuple[int, ...], in_s: tuple[int, ...]) -> Any:
    """E of the monomial r_k·s_l given by its exponents; the estimate holds no other kind."""
    if sum(in_r) != 1 or sum(in_s) != 1:
        raise ValueError(f"not a product r_k·s_l: exponents {in_r}, {in_s}")
    return _MU11 if in_r == in_s else _MU10 * _MU01

"""SymPy derivations about the clipped surrogate's own score (T28): 0 if and only if it holds."""

from typing import Any

import sympy as sp


def two_arm_residual(square: int = 2) -> Any:
    """Cov_θ(s, A·1) − q(1−q)(s_1 − s_2)^square·((1−p)·i_1 + p·i_2), i_k = 1[arm k not clipped].

    The last product is ≥ 0, so that with two arms the law of the own score never is negative;
    false unless square is 2.
    """
    p, q = sp.symbols("p q", positive=True)
    s, kept = sp.symbols("s1:3", real=True), sp.symbols("i1:3", nonnegative=True)
    old, new = (p, 1 - p), (q, 1 - q)
    mean = sum(a * b for a, b in zip(old, s, strict=True))
    signal = [(a - mean) * i for a, i in zip(s, kept, strict=True)]
    share = (1 - p) * kept[0] + p * kept[1]
    return sp.expand(_covariance(new, s, signal) - q * (1 - q) * (s[0] - s[1]) ** square * share)


def example_residual(kept: tuple[int, int, int] = (1, 0, 0)) -> Any:
    """Cov_θ(s, A·1) + 1/64 of the three arms; false for other arms not clipped."""
    old, new = (_rationals(4, 1, 1, 2), _rationals(4, 1, 2, 1))
    s = _rationals(1, 1, 2, 0)
    mean = sum(a * b for a, b in zip(old, s, strict=True))
    signal = [(a - mean) * i for a, i in zip(s, kept, strict=True)]
    return sp.expand(_covariance(new, s, signal) + sp.Rational(1, 64))


def _rationals(denominator: int, *numerators: int) -> tuple[Any, ...]:
    return tuple(sp.Rational(n, denominator) for n in numerators)


def _covariance(policy: Any, first: Any, second: Any) -> Any:
    rows = list(zip(policy, first, second, strict=True))
    product = sum(p * a * b for p, a, b in rows)
    return product - sum(p * a for p, a, _ in rows) * sum(p * b for p, _, b in rows)

"""SymPy derivations for joint cumulants: 0 if and only if the claim holds (T3, T4).

T3 is proved for any number of arms, since only the weighted sums a_k = Σ π r s^k e^{ηs} and
b_k = Σ π s^k e^{ηs} enter, and d/dη takes each to the next.
"""

from functools import cache
from math import factorial
from typing import Any

import sympy as sp
from sympy.utilities.iterables import multiset_partitions

_LARGEST_ORDER = 4
_WITH_R = sp.symbols(f"a0:{_LARGEST_ORDER + 1}", real=True)
_WITHOUT = (sp.Symbol("b0", positive=True), *sp.symbols(f"b1:{_LARGEST_ORDER + 1}", real=True))

P_BEST = (3 - sp.sqrt(3)) / 6
"""The Bernoulli parameter at which T4 holds with equality."""

_P, _A, _M, _N, _V, _W = sp.symbols("p a m n v w", real=True)


def moment_rule(shift: int = 1) -> Any:
    """d/dη Σ π r s^k e^{ηs} − Σ π r s^{k+shift} e^{ηs} for n arms; false unless shift is 1."""
    n, i, k = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "i", "k"))
    eta = sp.Symbol("eta", real=True)
    pi, r, s = (sp.IndexedBase(name, real=True)[i] for name in ("pi", "r", "s"))

    def total(power: Any) -> Any:
        return sp.Sum(pi * r * s**power * sp.exp(eta * s), (i, 1, n))

    return sp.simplify(sp.diff(total(k), eta) - total(k + shift))


def cumulant_residual(order: int, central_moment: bool = False) -> Any:
    """d^n/dη^n (a_0/b_0) − κ(r, s, …, s), n = `order`; false from n = 3 for the central moment."""
    derivative = _WITH_R[0] / _WITHOUT[0]
    for _ in range(order):
        derivative = _derive(derivative)
    forecast = _central_moment(order) if central_moment else _joint_cumulant(order)
    return sp.cancel(derivative - forecast)


def _derive(expression: Any) -> Any:
    """d/dη, by the chain rule with da_k/dη = a_{k+1} and db_k/dη = b_{k+1}."""
    moments = (_WITH_R, _WITHOUT)
    return sum(
        sp.diff(expression, row[k]) * row[k + 1] for row in moments for k in range(_LARGEST_ORDER)
    )


@cache
def _joint_cumulant(order: int) -> Any:
    """Σ over the partitions of {r, s, …, s} of (−1)^{b−1}(b − 1)!·Π_blocks E(block)."""
    total = sp.Integer(0)
    for blocks in multiset_partitions(list(range(order + 1))):  # 0 stands for r
        sign = (-1) ** (len(blocks) - 1) * factorial(len(blocks) - 1)
        total += sign * sp.prod([_expectation(len(b) - (0 in b), 0 in b) for b in blocks])
    return total


def _central_moment(order: int) -> Any:
    """E[(r − E r)(s − E s)^n]."""
    mean_r, mean_s = _expectation(0, True), _expectation(1, False)
    powers = [(k, sp.binomial(order, k) * (-mean_s) ** (order - k)) for k in range(order + 1)]
    return sum(c * (_expectation(k, True) - mean_r * _expectation(k, False)) for k, c in powers)


def _expectation(power: int, with_r: bool) -> Any:
    return (_WITH_R if with_r else _WITHOUT)[power] / _WITHOUT[0]


def indicator_residual(weight: int = 2) -> Any:
    """κ(1_B, s, s) − p(1−p)[V_B − V_{B^c} + (1 − 2p)(m_B − m_{B^c})²]; false unless weight is 2.

    By conditioning on B: E[(s − E s)²|B] = V_B + (m_B − E s)², and likewise on the complement.
    """
    mean = _P * _M + (1 - _P) * _N
    inside, outside = _V + (_M - mean) ** 2, _W + (_N - mean) ** 2
    form = _P * (1 - _P) * (_V - _W + (1 - weight * _P) * (_M - _N) ** 2)
    return sp.expand(_P * (1 - _P) * (inside - outside) - form)


def few_arms_residual() -> Any:
    """Small p < 1/4: (1 − 2p) − (a − 2pa²) − (1 − a)(1 − 2p(1 + a)); the product is ≥ 0.

    a is the share of B on which s = 1, and s = 0 on the complement, so the lemma's quantity is
    p(1−p)(a − 2pa²): it is largest at a = 1, where it is p(1−p)(1−2p).
    """
    return sp.expand((1 - 2 * _P) - (_A - 2 * _P * _A**2) - (1 - _A) * (1 - 2 * _P * (1 + _A)))


def square_residual() -> Any:
    """Larger p: (1−p)/8 − p(1−p)(a − 2pa²) − 2p²(1−p)(a − 1/(4p))²; for p ≥ 1/4 at most 3/32."""
    square = 2 * _P**2 * (1 - _P) * (_A - 1 / (4 * _P)) ** 2
    return sp.expand((1 - _P) / 8 - _P * (1 - _P) * (_A - 2 * _P * _A**2) - square)


def smaller_constant_residual() -> Any:
    """(√3/18)² − (3/32)² − 13/27648: the second case stays below the constant."""
    return sp.nsimplify((sp.sqrt(3) / 18) ** 2 - sp.Rational(3, 32) ** 2 - sp.Rational(13, 27648))


def maximum_residual(constant: Any = None) -> Any:
    """C − p(1−p)(1−2p) − 2(p − p*)²(q − p), q = 1/2 + √3/3 > 1; 0 only for C = √3/18.

    So p(1−p)(1−2p) ≤ √3/18 on [0, 1], with equality at p* = (3 − √3)/6.
    """
    top = sp.sqrt(3) / 18 if constant is None else constant
    slack = 2 * (_P - P_BEST) ** 2 * (sp.Rational(1, 2) + sp.sqrt(3) / 3 - _P)
    return sp.simplify(sp.expand(top - _P * (1 - _P) * (1 - 2 * _P) - slack))


def bernoulli_residual(constant: Any = None) -> Any:
    """κ(s, s, s) of a Bernoulli(p*) − √3/18: the bound is attained."""
    mean = P_BEST
    third = mean * (1 - mean) ** 3 - (1 - mean) * mean**3
    return sp.simplify(third - (sp.sqrt(3) / 18 if constant is None else constant))

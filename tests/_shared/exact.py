"""Moments in rational arithmetic: a referee that shares no code with the estimators."""

from collections.abc import Sequence
from fractions import Fraction

Rationals = Sequence[Fraction | int]


def mean(policy: Rationals, values: Rationals) -> Fraction:
    """E_π v."""
    return sum((Fraction(p) * v for p, v in zip(policy, values, strict=True)), Fraction(0))


def covariance(policy: Rationals, first: Rationals, second: Rationals) -> Fraction:
    """E_π[v·w] − E_π v·E_π w."""
    products = [a * b for a, b in zip(first, second, strict=True)]
    return mean(policy, products) - mean(policy, first) * mean(policy, second)

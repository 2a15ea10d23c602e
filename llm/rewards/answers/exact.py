"""Rational arithmetic on trees, exact and bounded."""

import math
from fractions import Fraction

from covlaw.llm.rewards.answers.tree import Tree, names

BITS = 4_000
"""Of a numerator or denominator; a larger power is left to floating point."""


class NotRationalError(Exception):
    """The value is no fraction, or too large for one."""


def same_rational(answer: Tree, reference: Tree) -> bool:
    """Tell whether two rational functions are the same, from their values at three points.

    They are chosen so that no answer of ordinary size has a root of the difference there.

    Raises:
        NotRationalError: where one is none (of integer powers, factorials, binomials).
    """
    variables = sorted(names(answer, "variable") | names(reference, "variable"))
    if not variables:
        return value(answer, {}) == value(reference, {})
    agreed = 0
    for point in points(variables):
        try:
            if value(answer, point) != value(reference, point):
                return False
            agreed += 1
        except ZeroDivisionError:
            continue
    return agreed > 1


def points(variables: list[str]) -> list[dict[str, Fraction]]:
    """Three places to compare functions at: all negative, all positive, signs in turn."""
    signs = (
        [-1] * len(variables),
        [1] * len(variables),
        [(-1) ** j for j in range(len(variables))],
    )
    return [
        {
            name: sign[j] * Fraction(10**9 + 7919 * (3 * j + k + 1), 10**8 + 39 * j)
            for j, name in enumerate(variables)
        }
        for k, sign in enumerate(signs)
    ]


def value(tree: Tree, point: dict[str, Fraction]) -> Fraction:
    """Evaluate exactly.

    Raises:
        NotRationalError: for an irrational number, a function, infinity, or a power beyond `BITS`.
        ZeroDivisionError: for a division by 0.
    """
    kind = tree[0]
    if kind == "number":
        return Fraction(tree[1])
    if kind == "variable":
        return point[tree[1]]
    if kind == "negative":
        return -value(tree[1], point)
    if kind == "call":
        return _called(tree, point)
    if kind not in ("add", "multiply", "divide", "power"):
        raise NotRationalError(kind)
    left, right = value(tree[1], point), value(tree[2], point)
    if kind == "power":
        return _power(left, right)
    if max(_bits(left), _bits(right)) > BITS:
        raise NotRationalError("too large")
    if kind == "divide":
        return left / right
    return left + right if kind == "add" else left * right


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        return _root(base, exponent)
    if base == 0 and exponent == 0:
        raise NotRationalError("0^0")
    if _bits(base) * abs(exponent) > BITS and abs(base) != 1:
        raise NotRationalError("too large")
    return Fraction(base ** int(exponent))


def _root(base: Fraction, exponent: Fraction) -> Fraction:
    """Square roots of squares of fractions; other roots are left to floating point."""
    top, bottom = math.isqrt(max(base.numerator, 0)), math.isqrt(base.denominator)
    exact = base >= 0 and exponent == Fraction(1, 2) and Fraction(top, bottom) ** 2 == base
    if not exact:
        raise NotRationalError("a root")
    return Fraction(top, bottom)


def _called(tree: Tree, point: dict[str, Fraction]) -> Fraction:
    name, arguments = tree[1], [value(part, point) for part in tree[2:]]
    first = arguments[0]
    if name == "abs":
        return abs(first)
    if name in ("floor", "ceiling"):
        return Fraction(math.floor(first) if name == "floor" else math.ceil(first))
    whole = all(a.denominator == 1 and 0 <= a <= 1000 for a in arguments)
    if name == "factorial" and whole:
        return Fraction(math.factorial(int(first)))
    if name == "binomial" and whole:
        return Fraction(math.comb(int(first), int(arguments[1])))
    raise NotRationalError(name)

"""Irrational values to hundreds of digits, in the judge's process, whose time is limited."""

from fractions import Fraction
from typing import Any

from covlaw.llm.rewards.answers.exact import NotRationalError, points, value
from covlaw.llm.rewards.answers.tree import Tree, names

DIGITS = 400
"""Two expressions that agree to nearly as many are taken for the same."""

ENOUGH = 7
"""Significant digits of a decimal that may stand for an irrational number."""


def to_lists(tree: Any) -> Any:
    """Write a tree as JSON can say it."""
    if isinstance(tree, Fraction):
        return {"fraction": str(tree)}
    return [to_lists(part) for part in tree] if isinstance(tree, tuple) else tree


def from_lists(tree: Any) -> Any:
    """Undo `to_lists`."""
    if isinstance(tree, dict):
        return Fraction(tree["fraction"])
    return tuple(from_lists(part) for part in tree) if isinstance(tree, list) else tree


def same_value(answer: Tree, reference: Tree) -> bool:
    """Tell whether two expressions agree, to `DIGITS`, wherever both are defined.

    A decimal of at least `ENOUGH` digits equals an irrational number that rounds to it.
    """
    from mpmath import mp

    mp.dps = DIGITS
    variables = sorted(names(answer, "variable") | names(reference, "variable"))
    if not variables:
        for decimal, other in ((answer, reference), (reference, answer)):
            if _digits(decimal) >= ENOUGH:
                return _rounds(decimal, Evaluation({}).of(other))
    agreed = 0
    for point in points(variables) if variables else [{}]:
        evaluation = Evaluation(point)
        try:
            left, right = evaluation.of(answer), evaluation.of(reference)
        except ZeroDivisionError:
            continue
        if not evaluation.close(left, right):
            return False
        agreed += 1
    return agreed >= (2 if variables else 1)


def _digits(tree: Tree) -> int:
    tree = tree[1] if tree[0] == "negative" else tree
    return int(tree[2]) if tree[0] == "number" else 0


def _rounds(decimal: Tree, value: Any) -> bool:
    """|v - d| ≤ half a unit in the last place that d shows."""
    from mpmath import floor, log10, mpf

    near, digits = Evaluation({}).of(decimal), _digits(decimal)
    unit = mpf(10) ** (floor(log10(abs(near))) - digits + 1)
    return bool(abs(near - value) <= unit / 2)


class Evaluation:
    """Values at one point; sums remember how large their terms were."""

    def __init__(self, point: dict[str, Fraction]) -> None:
        from mpmath import mp

        self.point, self.mp, self.largest = point, mp, mp.zero
        self.tiny = mp.mpf(10) ** (40 - DIGITS)

    def close(self, left: Any, right: Any) -> bool:
        """Agree relative to the values, or vanish relative to the terms that cancel in them."""
        if not (self.mp.isfinite(left) and self.mp.isfinite(right)):
            return False
        scale = max(abs(left), abs(right))
        return bool(abs(left - right) <= self.tiny * scale or scale <= self.tiny * self.largest)

    def of(self, tree: Tree) -> Any:
        """Evaluate a tree; ZeroDivisionError at a pole."""
        mp, kind = self.mp, tree[0]
        if kind == "number":
            return mp.mpf(tree[1].numerator) / tree[1].denominator
        if kind == "variable":
            at = self.point[tree[1]]
            return mp.mpf(at.numerator) / at.denominator
        if kind == "constant":
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.j}[tree[1]]
        if kind == "negative":
            return -self.of(tree[1])
        if kind == "call":
            return self._called(tree[1], [self.of(part) for part in tree[2:]])
        left, right = self.of(tree[1]), self.of(tree[2])
        if kind == "add":
            self.largest = max(self.largest, abs(left), abs(right))
            return left + right
        if kind == "power":
            return self._power(left, right, tree[2])
        return left * right if kind == "multiply" else left / right

    def _power(self, base: Any, exponent: Any, written: Tree) -> Any:
        """Odd roots of negative numbers are real, as they are at school."""
        if base == 0 and exponent == 0:
            raise ZeroDivisionError
        if not names(written, "variable") and base.imag == 0 and base.real < 0:
            try:
                exact = value(written, {})
            except NotRationalError:
                return base**exponent
            if exact.denominator % 2 and exact.denominator > 1:
                return (-1) ** exact.numerator * (-base) ** exponent
        return base**exponent

    def _called(self, name: str, arguments: list[Any]) -> Any:
        mp, first = self.mp, arguments[0]
        if name == "log":  # of a base that nobody says: a multiple of ln
            return mp.ln(first) * (1 + mp.euler)
        if name in ("floor", "ceiling", "factorial") and abs(first) > 10**6:
            raise ZeroDivisionError
        plain = {
            "arcsin": "asin",
            "arccos": "acos",
            "arctan": "atan",
            "ceiling": "ceil",
            "abs": "fabs",
        }
        result = getattr(mp, plain.get(name, name))(*arguments)
        if abs(result) * self.tiny > 1:
            raise ZeroDivisionError
        return result if abs(result) > self.tiny else mp.zero

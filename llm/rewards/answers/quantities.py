"""The value of an expression and its units, apart."""

from fractions import Fraction

from covlaw.llm.rewards.answers.tokens import UnreadableError
from covlaw.llm.rewards.answers.tree import Tree, has, number, replaced

Units = tuple[tuple[str, Fraction], ...]
"""Exponents by name, in order."""

_ANGLES = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])


def in_radians(tree: Tree) -> Tree:
    """Turn degrees below trigonometric functions into radians."""

    def change(part: Tree) -> Tree:
        if part[0] == "call" and part[1] in _ANGLES:
            return (*part[:2], replaced(part[2], _radian))
        return part

    return replaced(tree, change)


def _radian(part: Tree) -> Tree:
    is_degree = part == ("unit", "degree")
    return ("divide", ("constant", "pi"), number(180)) if is_degree else part


def quantity(tree: Tree) -> tuple[Tree, Units]:
    """Part value and units.

    Raises:
        UnreadableError: where units make no sense (5 m + 3 s), or in a function or an exponent.
    """
    value, units = _parted(tree)
    return value, tuple(sorted((name, power) for name, power in units.items() if power))


def _parted(tree: Tree) -> "tuple[Tree, dict[str, Fraction]]":
    if not has(tree, "unit"):
        return tree, {}
    kind = tree[0]
    if kind == "unit":
        return number(1), {tree[1]: Fraction(1)}
    if kind == "negative":
        value, units = _parted(tree[1])
        return ("negative", value), units
    if kind not in ("multiply", "divide", "add", "power"):
        raise UnreadableError("units inside a function")
    (left, of_left), (right, of_right) = _parted(tree[1]), _parted(tree[2])
    if kind == "add":
        if of_left != of_right:
            raise UnreadableError("a sum of unlike units")
        return ("add", left, right), of_left
    if kind == "power":
        return _power(tree, left, of_left)
    units = dict(of_left)
    for name, power in of_right.items():
        units[name] = units.get(name, Fraction(0)) + (power if kind == "multiply" else -power)
    if kind == "multiply" and number(1) in (left, right):
        return (left if right == number(1) else right), units
    return (kind, left, right), units


def _power(
    tree: Tree, left: Tree, units: "dict[str, Fraction]"
) -> "tuple[Tree, dict[str, Fraction]]":
    exponent = tree[2][1:] if tree[2][0] == "negative" else tree[2:]
    if exponent[0][0] != "number":
        raise UnreadableError("a unit to a power that is no number")
    size = exponent[0][1] * (-1 if tree[2][0] == "negative" else 1)
    raised = {name: power * size for name, power in units.items()}
    return ("power", left, tree[2]) if left != number(1) else left, raised

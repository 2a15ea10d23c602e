"""Equations and inequalities: names, chains, assignments, intervals."""

from fractions import Fraction

from covlaw.llm.rewards.answers import exact
from covlaw.llm.rewards.answers.tree import Tree, names

_FLIPPED = {">": "<", ">=": "<="}
INFINITY: Tree = ("constant", "inf")


def is_name(tree: Tree) -> bool:
    """Tell whether a tree is x, or f(x)."""
    if tree[0] == "multiply":
        return bool(tree[1][0] == tree[2][0] == "variable")
    return bool(tree[0] == "variable")


def oriented(tree: Tree) -> Tree:
    """Turn 3 > x into x < 3, and sort the sides of x != y."""
    signs, parts = tree[1], tree[2]
    if all(sign in _FLIPPED for sign in signs):
        return ("relation", tuple(_FLIPPED[s] for s in reversed(signs)), tuple(reversed(parts)))
    return tree


def assignment(tree: Tree) -> tuple[Tree, Tree] | None:
    """Read x = value; None for anything else."""
    if tree[0] == "relation" and tree[1] == ("=",) and is_name(tree[2][0]):
        return tree[2][0], tree[2][1]
    return None


def values_of_chain(tree: Tree) -> list[Tree] | None:
    """List what must be equal in x = 2 + 3 = 5 (without the name), or what x lies in."""
    signs, parts = tree[1], tree[2]
    if signs == ("∈",):
        return [parts[1]] if is_name(parts[0]) else None
    if any(sign != "=" for sign in signs):
        return None
    return list(parts[1:] if is_name(parts[0]) else parts)


def as_interval(tree: Tree) -> Tree | None:
    """Write 1 < x ≤ 2 or x ≥ 3 as an interval; None where it is none."""
    tree = oriented(tree)
    signs, parts = tree[1], tree[2]
    if any(sign not in ("<", "<=") for sign in signs):
        return None
    if len(parts) == 2:
        if is_name(parts[0]):
            parts, signs = (("negative", INFINITY), *parts), ("<", *signs)
        else:
            parts, signs = (*parts, INFINITY), (*signs, "<")
    if (
        len(parts) != 3
        or not is_name(parts[1])
        or names(parts[1], "variable")
        & set().union(*(names(part, "variable") for part in (parts[0], parts[2])))
    ):
        return None
    opening, closing = "(" if signs[0] == "<" else "[", ")" if signs[1] == "<" else "]"
    return ("list", opening, (parts[0], parts[2]), closing)


def same_equation(answer: Tree, reference: Tree) -> bool:
    """Tell whether two equations are the same up to a factor, by their values at three points.

    Only for rational functions of at least two points where neither vanishes.
    """
    if any(tree[1] != ("=",) for tree in (answer, reference)):
        return False
    left, right = (("add", tree[2][0], ("negative", tree[2][1])) for tree in (answer, reference))
    variables = sorted(names(left, "variable") | names(right, "variable"))
    if not variables or names(left, "variable") != names(right, "variable"):
        return False
    ratios: set[Fraction] = set()
    try:
        for point in exact.points(variables):
            ratios.add(exact.value(left, point) / exact.value(right, point))
    except (exact.NotRationalError, ZeroDivisionError):
        return False
    return len(ratios) == 1 and 0 not in ratios

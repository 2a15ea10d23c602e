"""Answers as trees: nested tuples that begin with their kind.

| kind | then |
|---|---|
| number | Fraction, significant digits of a decimal or 0 |
| variable, constant, unit, word | a name |
| add, multiply | two trees |
| divide, power | two trees |
| negative, plus_minus | a tree |
| call | a function's name, trees |
| list | opening bracket or "", trees, closing bracket or "" |
| ratio, union | trees |
| relation | signs, trees: one more than signs |
| matrix | rows of trees |
"""

from fractions import Fraction
from typing import Any

Tree = tuple[Any, ...]

DEEPEST = 60
"""Levels of a tree that is read."""


def number(value: Fraction | int, digits: int = 0) -> Tree:
    """A leaf."""
    return ("number", Fraction(value), digits)


def branches(tree: Tree) -> list[Tree]:
    """List the trees directly below one."""
    found: list[Tree] = []
    for part in tree[1:]:
        if isinstance(part, tuple) and part and isinstance(part[0], str):
            found.append(part)
        elif isinstance(part, tuple | list):
            for inner in part:
                found += [inner] if inner and isinstance(inner[0], str) else list(inner)
    return found


def has(tree: Tree, kind: str, name: str | None = None) -> bool:
    """Tell whether a kind (and name) stands anywhere in a tree."""
    if tree[0] == kind and (name is None or tree[1] == name):
        return True
    return any(has(part, kind, name) for part in branches(tree))


def names(tree: Tree, kind: str) -> set[str]:
    """Collect the names of one kind of leaf."""
    if tree[0] == kind:
        return {tree[1]}
    return set().union(*(names(part, kind) for part in branches(tree)))


def replaced(tree: Tree, change: Any) -> Tree:
    """Rebuild a tree from the leaves up, each expression put through `change`."""
    parts = tuple(
        replaced(part, change) if isinstance(part, tuple) and isinstance(part[0], str) else part
        for part in tree[1:]
    )
    done: Tree = change((tree[0], *parts))
    return done

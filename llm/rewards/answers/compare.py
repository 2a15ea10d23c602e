"""Whether two trees mean the same."""

from collections.abc import Sequence
from fractions import Fraction

from covlaw.llm.rewards import judge
from covlaw.llm.rewards.answers import exact, relations, vocabulary
from covlaw.llm.rewards.answers.quantities import Units, in_radians, quantity
from covlaw.llm.rewards.answers.tree import Tree, branches, has, number, replaced

_STRUCTURES = ("list", "ratio", "union", "matrix", "word", "relation")
_REQUIRED = frozenset(vocabulary.MEASURES.values())
_MOST = 32
"""Items of a list whose order does not count."""


def same(answer: Tree, reference: Tree) -> bool:
    """Compare structures part by part, and expressions by value and units."""
    answer, reference = _plain(answer), _plain(reference)
    if answer == reference:
        return True
    if "relation" in (answer[0], reference[0]):
        return _relations(answer, reference)
    if answer[0] == reference[0] == "list":
        return _lists(answer, reference)
    if answer[0] in _STRUCTURES or reference[0] in _STRUCTURES:
        return answer[0] == reference[0] and _structures(answer, reference)
    if any(has(tree, kind) for tree in (answer, reference) for kind in _STRUCTURES):
        return False
    return _quantities(in_radians(answer), in_radians(reference))


def _plain(tree: Tree) -> Tree:
    """Take braces off a set of one, write ± as two values, and spread them in a set."""
    if tree[0] == "list" and tree[1] in ("", "\\{"):
        items = [inner for item in tree[2] for inner in _spread(item)]
        return items[0] if len(items) == 1 else ("list", tree[1], tuple(items), tree[3])
    if tree[0] not in _STRUCTURES and has(tree, "plus_minus"):
        return ("list", "", tuple(_signs(tree)), "")
    if tree[0] == "relation" and len(tree[2]) == 2 and has(tree[2][1], "plus_minus"):
        sides = [("relation", tree[1], (tree[2][0], side)) for side in _signs(tree[2][1])]
        return ("list", "", tuple(sides), "")
    return tree


def _spread(item: Tree) -> Sequence[Tree]:
    plain = _plain(item)
    return plain[2] if item[0] != "list" and plain[:2] == ("list", "") else [plain]


def _signs(tree: Tree) -> list[Tree]:
    def plus(part: Tree) -> Tree:
        return part[1] if part[0] == "plus_minus" else part

    def minus(part: Tree) -> Tree:
        return ("negative", part[1]) if part[0] == "plus_minus" else part

    return [replaced(tree, plus), replaced(tree, minus)]


def _structures(answer: Tree, reference: Tree) -> bool:
    if answer[0] == "word":
        return bool(answer[1] == reference[1])
    if answer[0] == "union":
        return _in_any_order(answer[1], reference[1])
    rows = answer[1], reference[1]
    if answer[0] == "matrix":
        shapes = [[len(row) for row in side] for side in rows]
        return shapes[0] == shapes[1] and all(map(_in_order, *rows))
    return _in_order(*rows)


def _lists(answer: Tree, reference: Tree) -> bool:
    named, wanted = _assigned(answer), _assigned(reference)
    if named and wanted:
        return _in_any_order(answer[2], reference[2])
    if named or wanted:
        values = named or wanted or []
        other = reference if named else answer
        if other[1] == "\\{":
            return False
        pair = (values, other[2]) if named else (other[2], values)
        return _in_order(*pair)
    free = [tree[1] in ("", "\\{") for tree in (answer, reference)]
    if all(free):
        return _in_any_order(_unnamed(answer[2]), _unnamed(reference[2]))
    brackets = answer[1] == reference[1] and answer[3] == reference[3]
    return brackets and _in_order(answer[2], reference[2])


def _assigned(tree: Tree) -> list[Tree] | None:
    """List the values of y = 2, x = 1, whose names differ, in the order of the names."""
    pairs = [relations.assignment(item) for item in tree[2]]
    found = [pair for pair in pairs if pair]
    distinct = len({pair[0] for pair in found}) == len(tree[2])
    return [pair[1] for pair in sorted(found, key=repr)] if distinct else None


def _unnamed(items: Sequence[Tree]) -> Sequence[Tree]:
    """Take the one name off x = 1, x = 2."""
    pairs = [relations.assignment(item) for item in items]
    found = [pair for pair in pairs if pair]
    one = len(found) == len(items) and len({pair[0] for pair in found}) == 1
    return [pair[1] for pair in found] if one else items


def _in_order(answers: Sequence[Tree], references: Sequence[Tree]) -> bool:
    return len(answers) == len(references) and all(map(same, answers, references))


def _in_any_order(answers: Sequence[Tree], references: Sequence[Tree]) -> bool:
    left = list(references)
    if len(answers) != len(left) or len(left) > _MOST:
        return False
    for answer in answers:
        place = next((k for k, reference in enumerate(left) if same(answer, reference)), None)
        if place is None:
            return False
        del left[place]
    return True


def _relations(answer: Tree, reference: Tree) -> bool:
    if answer[0] == reference[0]:
        answer, reference = relations.oriented(answer), relations.oriented(reference)
        if answer[1] == reference[1] and _in_order(answer[2], reference[2]):
            return True
        swapped = (tuple(reversed(tree[2])) for tree in (answer,))
        if answer[1] == reference[1] and answer[1] in (("=",), ("!=",)):
            return _in_order(next(swapped), reference[2]) or relations.same_equation(
                answer, reference
            )
        return False
    relation, other = (answer, reference) if answer[0] == "relation" else (reference, answer)
    interval = relations.as_interval(relation)
    if interval and other[0] == "list" and other[1] in ("(", "["):
        return same(interval, other)
    parts = relations.values_of_chain(relation)
    return parts is not None and all(same(part, other) for part in parts)


def _quantities(answer: Tree, reference: Tree) -> bool:
    (left, of_left), (right, of_right) = quantity(answer), quantity(reference)
    if of_left == of_right:
        return _values(left, right)
    percent = (("percent", Fraction(1)),)
    if percent in (of_left, of_right) and () in (of_left, of_right):
        hundredth = number(Fraction(1, 100))
        share = [
            ("multiply", value, hundredth) if units == percent else value
            for value, units in ((left, of_left), (right, of_right))
        ]
        return _values(left, right) or _values(*share)
    if _may_be_left_out(of_left, of_right):
        return _values(left, right)
    if () in (of_left, of_right) and has(answer if not of_left else reference, "variable"):
        return _values(_lettered(answer), _lettered(reference))
    return False


def _may_be_left_out(of_answer: Units, of_reference: Units) -> bool:
    """A unit that only the answer has, or a sign or noun that only the reference has."""
    added, missing = {name for name, _ in of_answer}, {name for name, _ in of_reference}
    if added and missing:
        return False
    if added:
        return not any(name[0] == "?" or name.startswith("base") for name in added)
    return not any(name[0] == "?" or name in _REQUIRED for name in missing)


def _lettered(tree: Tree) -> Tree:
    """Read units of one letter as variables, to compare 5 m with 5 metres."""

    def letter(part: Tree) -> Tree:
        return ("variable", part[1]) if part[0] == "unit" and len(part[1]) == 1 else part

    changed = replaced(tree, letter)
    return changed if not has(changed, "unit") else ("word", "units")


def _values(answer: Tree, reference: Tree) -> bool:
    if "word" in (answer[0], reference[0]):
        return False
    if has(answer, "constant", "inf") or has(reference, "constant", "inf"):
        return _infinite(answer) == _infinite(reference) != 0
    try:
        return exact.same_rational(answer, reference)
    except exact.NotRationalError:
        return judge.same_value(answer, reference)
    except ZeroDivisionError:
        return False


def _infinite(tree: Tree) -> int:
    """The sign of ±∞; 0 for an expression that only holds it."""
    if tree == relations.INFINITY:
        return 1
    return -_infinite(tree[1]) if tree[0] == "negative" else 0


def depth(tree: Tree) -> int:
    """Levels of a tree."""
    return 1 + max((depth(part) for part in branches(tree)), default=0)

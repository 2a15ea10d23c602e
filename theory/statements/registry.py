"""Every statement by id: a new one is one file in the folder of its part."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from covlaw.theory.errors import unknown
from covlaw.theory.statements.base import Statement

PARTS = ("law", "clipping", "ctwa", "convergence", "scalarization", "false_claims")
"""The parts A–F of THEORY, a folder each."""


def _statements() -> Iterator[tuple[Statement, str]]:
    for part in PARTS:
        package = import_module(f"covlaw.theory.statements.{part}")
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            statement = getattr(import_module(module.name), "STATEMENT", None)
            if isinstance(statement, Statement):
                yield statement, module.name


def _order(statement_id: str) -> tuple[int, int]:
    letter, number = statement_id[0], re.sub(r"\D", "", statement_id)
    return "TEF".index(letter), int(number)


def _collect() -> tuple[Mapping[str, Statement], Mapping[str, str]]:
    found: dict[str, tuple[Statement, str]] = {}
    for statement, module in _statements():
        if statement.id in found:
            raise ValueError(f"{statement.id} is defined in {found[statement.id][1]} and {module}")
        found[statement.id] = (statement, module)
    ordered = sorted(found, key=_order)
    return {id: found[id][0] for id in ordered}, {id: found[id][1] for id in ordered}


STATEMENTS, MODULE_OF = _collect()
"""Every statement by id, in THEORY's order; and the module that defines it."""


def find(statement_id: str) -> Statement:
    """Look a statement up by id, case-insensitively; an unknown id names its near matches."""
    known = {key.lower(): key for key in STATEMENTS}
    if statement_id.lower() not in known:
        raise unknown("statement", statement_id, tuple(STATEMENTS))
    return STATEMENTS[known[statement_id.lower()]]

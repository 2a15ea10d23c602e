"""Every statement by id: a new one is one file in the folder of its part."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from covlaw.theory._numerics.errors import unknown
from covlaw.theory.statements.base import Statement

PARTS = {
    "tilts": "A1. The covariance law of a tilt",
    "updates": "A2. The law for any update",
    "gradients": "A3. The law under gradient ascent",
    "tokens": "A4. The law token by token",
    "sampling": "A5. The law from samples",
    "clipping": "B. The clipped surrogate",
    "ctwa": "C. Covariance-targeted weight adaptation (CTWA)",
    "convergence": "D. Convergence under PL, and interference",
    "scalarization": "E. Scalarizers",
    "false_claims": "F. Plausible, but false",
}
"""The parts of THEORY, a folder each, and their headings."""


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


def file_of(statement_id: str) -> str:
    """Path of a statement's module below the root of the source tree."""
    return f"{MODULE_OF[statement_id].removeprefix('covlaw.').replace('.', '/')}.py"


def part_of(statement_id: str) -> str:
    """Folder of a statement, a key of `PARTS`."""
    return MODULE_OF[statement_id].split(".")[-2]

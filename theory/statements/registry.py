"""Every statement by id, and every false claim: a new one is one file in the folder of its part."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import Registry
from covlaw.theory.statements.base import Statement
from covlaw.theory.statements.false_claims._claim import Claim

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
    "surrogates": "G. Surrogates in use today",
    "guard": "H. The guard",
}
"""The parts of THEORY, a folder each, and their headings."""


class Entry(NamedTuple):
    """What one module defines."""

    module: str
    statement: Statement
    claim: Claim | None
    """The false claim that the statement refutes, in part F."""


def _modules() -> Iterator[ModuleType]:
    for part in PARTS:
        package = import_module(f"covlaw.theory.statements.{part}")
        names = (module.name for module in iter_modules(package.__path__))
        for name in names:
            if not name.startswith("_"):  # what the statements of the part share
                yield import_module(f"{package.__name__}.{name}")


def entry_of(module: ModuleType) -> Entry | None:
    """What a module defines; None where it is no statement's.

    Raises:
        ValueError: for an F-statement without the `CLAIM` that it refutes, or a `CLAIM` without
            the statement of its id.
    """
    statement, claim = getattr(module, "STATEMENT", None), getattr(module, "CLAIM", None)
    refuted = statement.id if statement is not None and statement.id.startswith("F") else None
    claimed = None if claim is None else claim.id
    if refuted != claimed:
        raise ValueError(f"{module.__name__}: its STATEMENT refutes {refuted}, its CLAIM {claimed}")
    return None if statement is None else Entry(module.__name__, statement, claim)


def _order(statement_id: str) -> tuple[int, int]:
    letter, number = statement_id[0], re.sub(r"\D", "", statement_id)
    return "TEF".index(letter), int(number)


def _collect() -> Mapping[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in filter(None, map(entry_of, _modules())):
        known = found.setdefault(entry.statement.id, entry)
        if known is not entry:
            raise ValueError(f"{known.statement.id} is in {known.module} and {entry.module}")
    return {id: found[id] for id in sorted(found, key=_order)}


_ENTRIES = _collect()
STATEMENTS: Mapping[str, Statement] = {id: entry.statement for id, entry in _ENTRIES.items()}
"""Every statement by id, in THEORY's order."""
MODULE_OF: Mapping[str, str] = {id: entry.module for id, entry in _ENTRIES.items()}
"""The module that defines a statement."""
CLAIMS: Mapping[str, Claim] = {id: e.claim for id, e in _ENTRIES.items() if e.claim is not None}
"""Every false claim by id, F1 first."""


def _statement(found: Any, target: str) -> Statement:
    if not isinstance(found, Statement):
        raise CovlawError(f"statement {target!r} is {type(found).__name__}, not a Statement")
    if found.id in STATEMENTS:
        raise CovlawError(f"statement {target!r} has the id {found.id} of ours: choose another")
    return found


OUTSIDE: Registry[Statement] = Registry("statement", "covlaw.statements", {}, _statement)
"""Statements that other packages add, by the names of their entry points."""


def find(statement_id: str) -> Statement:
    """Look a statement up by id, case-insensitively, or import "path/to/file.py:STATEMENT".

    Raises:
        CovlawError: for an unknown id (with near matches), or what is no statement.
    """
    known = {key.lower(): key for key in STATEMENTS}
    if statement_id.lower() in known:
        return STATEMENTS[known[statement_id.lower()]]
    if ":" in statement_id or statement_id in OUTSIDE:
        return OUTSIDE.find(statement_id)
    raise unknown("statement", statement_id, (*STATEMENTS, *OUTSIDE))


def file_of(statement_id: str) -> str:
    """Path of a statement's module below the root of the source tree; none for one from outside."""
    if statement_id not in MODULE_OF:
        return "outside this package"
    return f"{MODULE_OF[statement_id].removeprefix('covlaw.').replace('.', '/')}.py"


def part_of(statement_id: str) -> str:
    """Folder of a statement, a key of `PARTS`."""
    return MODULE_OF[statement_id].split(".")[-2]

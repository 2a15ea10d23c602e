"""The statements of THEORY, each checkable on every rung where it makes sense."""

from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Proof,
    Sides,
    Statement,
    Verdict,
)
from covlaw.theory.statements.checking import check, check_on
from covlaw.theory.statements.registry import MODULE_OF, STATEMENTS, find

__all__ = [
    "MODULE_OF",
    "STATEMENTS",
    "Ensemble",
    "NegativeControl",
    "Proof",
    "Sides",
    "Statement",
    "Verdict",
    "check",
    "check_on",
    "find",
]

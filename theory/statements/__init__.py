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
from covlaw.theory.statements.false_claims._claim import Claim, Contrast, Found
from covlaw.theory.statements.false_claims._search import find_claim, smallest
from covlaw.theory.statements.registry import CLAIMS, MODULE_OF, STATEMENTS, find

__all__ = [
    "CLAIMS",
    "MODULE_OF",
    "STATEMENTS",
    "Claim",
    "Contrast",
    "Ensemble",
    "Found",
    "NegativeControl",
    "Proof",
    "Sides",
    "Statement",
    "Verdict",
    "check",
    "check_on",
    "find",
    "find_claim",
    "smallest",
]

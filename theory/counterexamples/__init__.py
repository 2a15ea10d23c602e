"""The smallest counterexamples to plausible claims, in exact rational arithmetic (part F)."""

from covlaw.theory.counterexamples.claim import Claim, Contrast, Found
from covlaw.theory.counterexamples.search import CLAIMS, find_claim, smallest

__all__ = ["CLAIMS", "Claim", "Contrast", "Found", "find_claim", "smallest"]

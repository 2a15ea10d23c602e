"""Search a claim's cases from small to large for the first that refutes it."""

import re
import time
from collections.abc import Callable

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements.false_claims._claim import Claim, Found
from covlaw.theory.statements.registry import CLAIMS

_ENOUGH = 0.5
"""Share of the words given that a claim must hold to be meant."""


def find_claim(words: str) -> Claim:
    """Look a claim up by its id, or by words of its sentence.

    Raises:
        CovlawError: if the words fit no claim, or several equally well.
    """
    exact = [claim for claim in CLAIMS.values() if words.strip().lower() == claim.id.lower()]
    found = exact or _with_most_of(_words(words))
    if len(found) == 1:
        return found[0]
    listing = "\n".join(f"  {c.id}  {c.sentence}" for c in found or CLAIMS.values())
    trouble = "fits several claims" if found else "is none of the claims"
    raise CovlawError(f"{words!r} {trouble}; give one of these ids:\n{listing}")


def smallest(
    claim: Claim, seconds: float = 60.0, progress: Callable[[int], None] = lambda _: None
) -> Found | None:
    """Return the first, and so smallest, case that refutes a claim; None if time runs out.

    Args:
        claim: Which.
        seconds: Time limit.
        progress: Told how many cases were looked at, now and then.
    """
    end = time.monotonic() + seconds
    for searched, case in enumerate(claim.cases(), 1):
        contrast = claim.refute(case)
        if contrast is not None:
            return Found(claim, case, contrast, searched)
        if searched % 256 == 0:
            progress(searched)
            if time.monotonic() > end:
                return None
    return None


def _with_most_of(wanted: set[str]) -> list[Claim]:
    shared = {id: len(wanted & _words(claim.sentence)) for id, claim in CLAIMS.items()}
    most = max(shared.values())
    if not wanted or most < _ENOUGH * len(wanted):
        return []
    return [CLAIMS[id] for id, count in shared.items() if count == most]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))

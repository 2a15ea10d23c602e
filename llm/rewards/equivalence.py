"""Whether two written answers mean the same: as strings, exact numbers, then mathematics."""

import re
from functools import lru_cache

from covlaw.llm.rewards import judge
from covlaw.llm.rewards.normal_form import as_number, compact, spaced
from covlaw.llm.rewards.units import disagree, without_phrases

_NAME = re.compile(r"(^|,)\s*(?:\\[A-Za-z]+|[A-Za-z])(?:_\w+)?(?:\([A-Za-z]\))?\s*=(?!=)")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|leq|geq|neq|ne|lt|gt)(?![A-Za-z])")


@lru_cache(maxsize=2**16)
def equivalent(answer: str, reference: str) -> bool:
    r"""Compare cheapest first: spelling, exact numbers, then math-verify in a process of its own.

    math-verify compares generously, so what it would overlook is refused before it is asked: other
    units or number bases (``28 cm`` for ``28\%``, ``2516_9`` for ``2516_8``), other words, and a
    chain whose parts are not all equal (``10=5`` for 5). Decimals are compared to six places only
    where one side is no plain number (0.333333 is not 1/3, but 1.414214 is the root of 2).
    """
    answer, reference = spaced(answer), spaced(reference)
    if compact(answer) == compact(reference):
        return compact(answer) != ""
    if disagree(answer, reference):
        return False
    answer, reference = without_phrases(answer), without_phrases(reference)
    if _RELATION.search(answer) and not _RELATION.search(reference):
        return _chain_equals(_NAME.sub(r"\1", answer), reference)
    if _RELATION.search(reference) and not _RELATION.search(answer):
        reference = _NAME.sub(r"\1", reference)
    return _same(answer, reference)


def _chain_equals(answer: str, reference: str) -> bool:
    """2 + 3 = 5 is 5 because both parts are; 10 = 5 is not."""
    return all(_same(part, reference) for part in answer.split("="))


def _same(answer: str, reference: str) -> bool:
    if not any(c.isalnum() for c in answer) or not any(c.isalnum() for c in reference):
        return False
    numbers = as_number(answer), as_number(reference)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if numbers[1] is not None and "," in answer:  # "5, 5" is a list, not the set that holds 5
        return False
    return judge.ask(answer, reference)

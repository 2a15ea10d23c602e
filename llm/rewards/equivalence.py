"""Whether two written answers mean the same: as strings, as exact mathematics, then by value."""

import re
from functools import lru_cache

from covlaw.llm.rewards import judge
from covlaw.llm.rewards.answers import budget
from covlaw.llm.rewards.answers.compare import same
from covlaw.llm.rewards.answers.grammar import parse
from covlaw.llm.rewards.answers.spelling import LONGEST, signs
from covlaw.llm.rewards.answers.tokens import UnreadableError
from covlaw.llm.rewards.normal_form import as_number, compact, spaced

_CHOICE = re.compile(r"\(?([A-Z])\)?")
_CHOSEN = re.compile(
    r"(?:(?i:option|choice) )?(?:\(([A-Z])\)\s*|([A-Z])(?:[.:)]\s+|[.:)]?$))(?![A-Z]\b)"
)
_BEYOND = re.compile(r"\\(?:sum|prod|int|lim|cap|setminus)(?![A-Za-z])")
_BOUND_OR_COMMAND = re.compile(r"\\[A-Za-z]+|_\{[a-z]=-?\w+\}")
_RISKY = re.compile(r"[A-Za-z]{2,}|[%$°!,=:]|\d\.\d|_\{?\d|\\circ")


def equivalent(answer: str, reference: str) -> bool:
    r"""Compare cheapest first: spelling, exact numbers, trees by our own grammar, math-verify.

    Values are compared exactly where both are rational (functions too, at three rational points),
    to hundreds of digits elsewhere. A unit of measurement is part of the answer where the reference
    has one; words are understood exactly (negative 5, 5 million, 5 apples) or the answer is
    refused. math-verify sees only sums, integrals, limits and the like, without words, units or
    decimals, since it would overlook those. What takes too long is refused.
    """
    return verdict(answer, reference) is True


def verdict(answer: str, reference: str) -> bool | None:
    """Compare as `equivalent`; None where it was given up because time was up."""
    try:
        return _verdict(answer, reference)
    except budget.OutOfBudgetError:
        return None


@lru_cache(maxsize=2**16)
def _verdict(answer: str, reference: str) -> bool | None:
    """Remember what does not depend on the batch's budget."""
    if max(len(answer), len(reference)) > LONGEST:
        return answer.split() == reference.split()
    answer, reference = signs(answer), signs(reference)
    plain = spaced(answer), spaced(reference)
    spelled = compact(plain[0]), compact(plain[1])
    if spelled[0] == spelled[1]:
        return spelled[0] != ""
    numbers = as_number(plain[0]), as_number(plain[1])
    if None not in numbers:
        return numbers[0] == numbers[1]
    if _CHOICE.fullmatch(plain[1]) and (chosen := _CHOSEN.match(plain[0])):
        return plain[1].strip("()") in (chosen[1], chosen[2])
    try:
        with budget.spending():
            return _read_and_compared(answer, reference)
    except budget.OutOfTimeError:
        return None


def _read_and_compared(answer: str, reference: str) -> bool:
    try:
        return same(parse(answer), parse(reference))
    except RecursionError:
        return False
    except UnreadableError:
        texts = answer, reference
        beyond = any(map(_BEYOND.search, texts))
        bare = [_BOUND_OR_COMMAND.sub("", text) for text in texts]
        return beyond and not any(map(_RISKY.search, bare)) and judge.ask(answer, reference)

"""What stands beside the mathematics of an answer: words, units, number bases."""

import re

_SHORT_UNITS = "cm|mm|km|kg|mg|ml|mL|ft|in|oz|lb|mi|hr|am|pm|AM|PM"
_WORD = rf"(?:(?<![A-Za-z0-9])[A-Za-z]{{3,}}|(?<![A-Za-z])(?:{_SHORT_UNITS}))(?![A-Za-z0-9_^(])"
_PHRASE = re.compile(rf"\\(?:begin|end)\{{\w+\*?\}}|\\[A-Za-z]+|({_WORD}(?: {_WORD})*)")
_FUNCTION = re.compile(
    "(arc)?(sin|cos|tan|cot|sec|csc)h?|log|exp|sqrt|gcd|lcm|max|min|det|deg|mod", re.IGNORECASE
)
_SYMBOLS = {"%": "percent", "^\\circ": "degree", "°": "degree", "\\$": "dollar"}
_BASE = re.compile(r"\d_(\d+)")


def phrases(text: str) -> list[str]:
    """List the runs of words, in lower case and singular; commands and functions are none.

    A word has three letters or is a short unit, and stands alone: "ab" and "5abc" may be products,
    "sin(x)" is a function.
    """
    runs = [found[1].lower() for found in _PHRASE.finditer(text) if found[1]]
    return [run.removesuffix("s") for run in runs if not _FUNCTION.fullmatch(run)]


def units(text: str) -> set[str]:
    """Words and unit signs (per cent, degree, dollar) together."""
    return {*phrases(text), *(name for sign, name in _SYMBOLS.items() if sign in text)}


def without_phrases(text: str) -> str:
    """Remove the words and keep the mathematics."""

    def keep(found: re.Match[str]) -> str:
        is_word = found[1] and not _FUNCTION.fullmatch(found[1])
        return " " if is_word else found[0]

    return " ".join(_PHRASE.sub(keep, text).replace("\\$", "").split())


def bases(text: str) -> list[str]:
    """List the bases of numbers such as 2516_9."""
    return _BASE.findall(text)


def disagree(answer: str, reference: str) -> bool:
    """Tell whether two answers differ in what stands beside the mathematics.

    A unit may be left out, but not replaced by another one. A base may be left out, but not be
    added or replaced. An answer with several phrases ("3 pears and 2 apples") is beyond this
    reading: it counts as different.
    """
    of_answer, of_reference = units(answer), units(reference)
    several = max(len(phrases(answer)), len(phrases(reference))) > 1
    other_unit = bool(of_answer and of_reference and of_answer != of_reference)
    other_base = bool(bases(answer)) and bases(answer) != bases(reference)
    return several or other_unit or other_base

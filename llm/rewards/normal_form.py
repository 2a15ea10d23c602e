r"""One spelling for answers that differ in LaTeX spelling alone."""

import re
from fractions import Fraction

_SYNONYMS = {
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\left": "",
    "\\right": "",
    "\\displaystyle": "",
    "\\!": "",
    "\\,": " ",
    "\\;": " ",
    "\\:": " ",
    "\\ ": " ",
    "\\quad": " ",
    "~": " ",
    "{,}": ",",
    "\\%": "%",
    "^{\\circ}": "^\\circ",
    "−": "-",
}
_SYNONYM = re.compile(
    r"(?<!\\)(?:"
    + "|".join(
        re.escape(old) + (r"(?![A-Za-z])" if old[-1].isalpha() else "")
        for old in sorted(_SYNONYMS, key=len, reverse=True)
    )
    + ")"
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed)\s*\{([^{}]*)\}")
_DOLLAR = re.compile(r"(?<!\\)\$")
_CONNECTOR = re.compile(r" (?:and|or) ")
_SUBSCRIPT = re.compile(r"_\{(\w+)\}")
_SHORT_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)")
_SPACE = re.compile(r"(?<!\d) | (?!\d)")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CHOICE = re.compile(r"\(([A-Z])\)")

_NUMBER = re.compile(r"[-+]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})")
_FRACTION = re.compile(
    r"([-+]?)(?:\\frac\{([-+]?\d{1,300})\}\{(\d{1,300})\}|(\d{1,300})/(\d{1,300}))"
)


def spaced(text: str) -> str:
    r"""Undo LaTeX spelling but keep spaces, which separate words.

    Fraction commands, sizes, thin spaces and dollar signs around formulas go; ``\text{...}`` gives
    up its content; "and" and "or" become commas; a full stop at the end goes.
    """
    text = _unwrapped(_SYNONYM.sub(lambda found: _SYNONYMS[found[0]], text))
    text = " ".join(_DOLLAR.sub("", text).split())
    text = _CONNECTOR.sub(",", text).removesuffix(".").strip()
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", _SUBSCRIPT.sub(r"_\1", text))
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    choice = _CHOICE.fullmatch(text)
    return choice[1] if choice else text


def _unwrapped(text: str) -> str:
    """Replace text commands by their content, the innermost first."""
    while (inner := _TEXT.sub(r" \1 ", text)) != text:
        text = inner
    return text


def compact(text: str) -> str:
    """Remove the spaces of `spaced` text, except between digits: "1 2" is not "12"."""
    return _SPACE.sub("", text)


def as_number(text: str) -> Fraction | None:
    r"""Read an integer, a decimal, ``a/b`` or ``\frac{a}{b}`` exactly; None for anything else."""
    text = compact(text)
    if _NUMBER.fullmatch(text):
        return Fraction(text)
    found = _FRACTION.fullmatch(text)
    if not found:
        return None
    sign, top, bottom = found[1], int(found[2] or found[4]), int(found[3] or found[5])
    return None if bottom == 0 else Fraction(-top if sign == "-" else top, bottom)

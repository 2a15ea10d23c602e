"""LaTeX formulas as MathML, which browsers draw without a library or a font from elsewhere."""

import re
from collections.abc import Iterator
from html import unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element
from markupsafe import Markup

from covlaw.theory._numerics.errors import CovlawError

QUAD = re.compile(r"\\q?quad(?![A-Za-z])")
LIMITS = frozenset({"min", "max", "inf", "sup"})
"""Operators whose index stands beneath them."""
PUNCTUATION = frozenset({":", ";"})
UNSUPPORTED = (
    (re.compile(r"\\arg(?![A-Za-z])"), r"\\mathrm{arg}\\,"),
    (re.compile(r"\\Biggl?\\lfloor|\\Bigl\\lfloor"), r"\\left\\lfloor "),
    (re.compile(r"\\Biggr?\\rfloor|\\Bigr\\rfloor"), r"\\right\\rfloor "),
)
"""What the converter leaves as it stands, in words that it knows."""


def mathml(latex: str, words: str) -> Markup:
    r"""Convert a formula; each part between `\quad`s becomes an element, so that lines can break.

    Args:
        latex: Without delimiters.
        words: The formula in plain text, for a reader that speaks it.

    Raises:
        CovlawError: if the formula uses a command that cannot be converted.
    """
    for command, known in UNSUPPORTED:
        latex = command.sub(known, latex)
    elements = [_element(part) for part in _parts(latex)]
    elements[0].set("alttext", words)
    text = " ".join(tostring(element, encoding="unicode") for element in elements)
    if "\\" in text:
        command_left = text[text.index("\\") :].split("<")[0]
        raise CovlawError(f"formula {latex!r}: {command_left} has no MathML; write it another way")
    return Markup(text)  # noqa: S704 - serialised from a tree, of our own formulas


def _parts(latex: str) -> Iterator[str]:
    r"""Split at the `\quad`s outside of braces."""
    start = 0
    for found in QUAD.finditer(latex):
        before = latex[: found.start()]
        outside = before.count("{") - before.count(r"\{") == before.count("}") - before.count(r"\}")
        if outside and latex[start : found.start()].strip():
            yield latex[start : found.start()]
            start = found.end()
    yield latex[start:]


def _element(latex: str) -> Element:
    root = convert_to_element(latex, display="block")
    for node in root.iter():
        node.text = unescape(node.text or "")  # the converter leaves entities in the text
    for parent in list(root.iter()):
        _limits_beneath(parent)
        for place, child in enumerate(parent):
            if word := _upright_word(child):
                parent[place] = word
    return root


def _limits_beneath(element: Element) -> None:
    if element.tag == "msub" and element[0].text in LIMITS:
        element.tag = "munder"
    if element.tag == "mi" and element.text in PUNCTUATION:
        element.tag = "mo"


def _upright_word(row: Element) -> Element | None:
    r"""One identifier for the letters of `\mathrm{Cov}`, which come one by one."""
    letters = list(row)
    if row.tag != "mrow" or len(letters) < 2:
        return None
    if any(c.tag != "mi" or c.get("mathvariant") != "normal" for c in letters):
        return None
    word = Element("mi")
    word.text = "".join(letter.text or "" for letter in letters)
    word.tail = row.tail
    return word

r"""One spelling for what differs in typing alone: Unicode signs, full width, Markdown, dollars."""

import re
import unicodedata

LONGEST = 1000
"""Characters of an answer that is read as mathematics; a longer one is compared as text alone."""

_SIGNS = {
    **dict.fromkeys("−–—‒﹣", "-"),
    **dict.fromkeys("。｡．", "."),
    **dict.fromkeys("、﹐", ","),
    **dict.fromkeys("×✕", r"\times "),
    **dict.fromkeys("·⋅•∙", r"\cdot "),
    **dict.fromkeys("\u200b\ufeff\u2060", ""),
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "ℝ": r"\mathbb{R} ",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3]",
    "π": r"\pi ",
    "∞": r"\infty ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
    "∪": r"\cup ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "°": r"^\circ ",
    "θ": r"\theta ",
    "α": r"\alpha ",
    "β": r"\beta ",
    "λ": r"\lambda ",
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉ₙ]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_ROOT = re.compile(r"\\sqrt +(\d+)")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,2})(?![*_\s])(.{1,1000}?)\1", re.DOTALL)
_LEAD = re.compile(r"^(\\text\{)?(?:the )?(?:final )?answer(?: is ?:?|:) +(?=\S)", re.IGNORECASE)
_FINAL = re.compile(r"####\s*(.*)", re.DOTALL)
_ENVIRONMENT = re.compile(
    r"\\begin\{(equation|align|aligned|gather|gathered|displaymath)(\*?)\}"
    r"((?:(?!\\\\|\\begin).){1,900})\\end\{\1\2\}",
    re.DOTALL,
)
"""Of a single row."""
_TIMES_TEN = re.compile(r"(?<=\d) ?x ?(?=10 ?\^)")
_NOON = re.compile(r"\b([ap])\. ?m\b\.?", re.IGNORECASE)
_REALS = re.compile(r"(?:\\text\{)?all real(?: number)?s\}?", re.IGNORECASE)


def signs(text: str) -> str:
    """Write Unicode mathematics in LaTeX and ASCII, and take Markdown's marks away."""
    text = text.strip()
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
        text = _SUBSCRIPT.sub(lambda found: f"_{{{found[0].translate(_SUBSCRIPTS)}}}", text)
        text = _VULGAR.sub(_fraction, text)
        text = unicodedata.normalize("NFKC", "".join(_SIGNS.get(sign, sign) for sign in text))
        text = _ROOT.sub(r"\\sqrt{\1}", "".join(_SIGNS.get(sign, sign) for sign in text))
    text = rf"\sim {text[1:]}" if text.startswith("~") else _LEAD.sub(r"\1", text.strip("`"))
    final = _FINAL.fullmatch(text)
    text = final[1] if final else text
    marked = _EMPHASIS.fullmatch(text)
    return _plainly(marked[2] if marked else text)


def _plainly(text: str) -> str:
    r"""Take a one-row environment off, and write 3 x 10^8, a.m. and "all reals" in one way."""
    row = _ENVIRONMENT.fullmatch(text)
    text = _TIMES_TEN.sub(r"\\times ", row[3].replace("&", "") if row else text)
    text = r"\mathbb{R}" if _REALS.fullmatch(text) else text
    return _NOON.sub(lambda found: f"{found[1]}m".lower(), text).rstrip().rstrip(";")


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom}}}"

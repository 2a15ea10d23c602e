r"""Answers as tokens: numbers with their separators, letters, words, commands; one pass."""

import re
from fractions import Fraction
from typing import NamedTuple

from covlaw.llm.rewards.answers import vocabulary as known


class UnreadableError(Exception):
    """The text is no mathematics that this reading knows."""


class Token(NamedTuple):
    """A piece of an answer.

    Attributes:
        kind: number, letter, word, function, command, or sign.
        text: As written (a word in lower case, where it has two letters or more).
        value: Of a number.
        digits: Significant digits of a number with a decimal point, else 0.
        spaced: Whether a space stands before it.
    """

    kind: str
    text: str
    value: Fraction = Fraction(0)
    digits: int = 0
    spaced: bool = False


_SPACES = r"\\[,;:! >]|\\q?quad(?![A-Za-z])|~|\s"
_TEXT = r"text|textbf|textit|textrm|textsf|texttt|textnormal|mathrm|mbox|operatorname|hbox|mathsf"
_CYCLES = r"\\(?:overline|bar|dot)\s*\{|\(\d{1,40}\)(?![\d^])"
_TOKEN = re.compile(
    rf"""(?P<space>(?:{_SPACES})+)
    |(?P<style>\\(?:left|right|displaystyle|textstyle|limits|big|Big|bigg|Bigg)(?![A-Za-z])\.?)
    |(?P<text>\\(?:{_TEXT})\*?\s*\{{)
    |(?P<row>\\\\(?:\[[\w.]*\])?)
    |(?P<formula>\\[\[\]()]|(?<!\\)\$)
    |(?P<number>(?:\d+(?:(?:,|\{{,\}}|,(?:\\!\s*)+)\d+)*(?:\.\d+|\.(?={_CYCLES}))?|\.\d+))
    |(?P<letters>[A-Za-z]+)
    |(?P<command>\\[A-Za-z]+)
    |(?P<sign>\*\*|<=|>=|!=|\\[{{}}$%|\#&_]|[^\s\w]|_)""",
    re.VERBOSE,
)
_SCIENTIFIC = re.compile(r"[eE]([-+]?\d{1,4})(?![\d.])")
_REPEATING = re.compile(
    r"\\(?:overline|bar)\s*\{(\d{1,40})\}|(?<=\.)\((\d{1,40})\)(?!\^)"
    r"|\\dot\s*\{(\d)\}(?:(\d{0,30})\\dot\s*\{(\d)\})?"
)
_DOTS = re.compile(r"\s*(?:\.{3}|…|\\[lc]?dots(?![A-Za-z]))(?=\s*(?:$|[,;)}\]]))")
_CYCLE_SEEN = re.compile(r"(?:(\d)\1{2,}|(\d{2,6})\2+)$")
"""Three times one digit, or twice a longer group, before the dots."""
_APOSTROPHES = re.compile(r"(?<![\d.'])\d{1,3}(?:'\d{3})+(?![\d'])")
_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SPACED_GROUPS = re.compile(r"(?<![\d.,_^])\d{1,3}(?:(?: |\\,)\d{3})+(?![\d/.]|,\d|\\,\d| \d)")
_ONES = re.compile(r"[- ](one|two|three|four|five|six|seven|eight|nine)(?![A-Za-z])", re.I)
_MARKS = {
    **{"\\cdot": "*", "\\times": "*", "\\ast": "*", "\\div": "/", "\\colon": ":", ";": ","},
    **{"**": "^", "\\$": "\\$", "\\%": "%", "\\lbrace": "\\{", "\\rbrace": "\\}"},
    **{"\\le": "<=", "\\leq": "<=", "\\leqslant": "<=", "\\ge": ">=", "\\geq": ">="},
    **{"\\geqslant": ">=", "\\ne": "!=", "\\neq": "!=", "\\lt": "<", "\\gt": ">", "\\in": "∈"},
    **{"\\lvert": "|", "\\rvert": "|", "\\vert": "|", "\\cup": "∪", "\\pm": "±", "\\mp": "∓"},
    **{"\\degree": "°", "\\varnothing": "\\emptyset", "\\dfrac": "\\frac", "\\tfrac": "\\frac"},
    **{"\\pounds": "£", "\\euro": "€"},
    **{"\\cfrac": "\\frac", "\\dbinom": "\\binom", "\\tbinom": "\\binom"},
}


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.place, self.spaced = text, 0, False
        self.tokens: list[Token] = []
        self.braces: list[bool] = []  # whether each open brace belongs to a text command

    def read(self) -> list[Token]:
        while self.place < len(self.text):
            found = _TOKEN.match(self.text, self.place)
            if not found:
                raise UnreadableError(f"sign {self.text[self.place]!r}")
            self.place, kind = found.end(), str(found.lastgroup)
            if kind in ("space", "style", "formula"):
                self.spaced = self.spaced or kind == "space"
                continue
            getattr(self, f"_{kind}")(found[0])
            self.spaced = False
        if self.braces:
            raise UnreadableError("a brace is not closed")
        return self.tokens

    def add(self, kind: str, text: str, value: Fraction = Fraction(0), digits: int = 0) -> None:
        self.tokens.append(Token(kind, text, value, digits, self.spaced))

    def _text(self, _: str) -> None:
        self.braces.append(True)
        self.spaced = True

    def _row(self, _: str) -> None:
        self.add("sign", "\\\\")

    def _number(self, text: str) -> None:
        text = re.sub(r"[{}]|\\!|\s", "", text)
        if "," not in text:
            self._plain(text)
        elif _GROUPS.fullmatch(text) and not self._alone_in_brackets(text):
            self._plain(text.replace(",", ""))
        else:
            for k, part in enumerate(text.split(",")):
                if len(part) > 1 and part[0] == "0" and part[1] != ".":
                    raise UnreadableError("a group of digits that begins with 0")
                if k:
                    self.add("sign", ",")
                self._plain(part)

    def _alone_in_brackets(self, text: str) -> bool:
        """(1,234) is a pair; (1,000) and (1,234, 5) are not."""
        before = self.tokens[-1].text if self.tokens else ""
        after = re.match(r"\s*(?:\\right)?\s*(?:[)\]]|\\\})", self.text[self.place :])
        pair = all(part[0] != "0" for part in text.split(","))
        return before in ("(", "[", "\\{") and after is not None and pair

    def _plain(self, text: str) -> None:
        digits = len(text.replace(".", "").lstrip("0")) if "." in text else 0
        value = Fraction(text)
        power = _SCIENTIFIC.match(self.text, self.place)
        repeating = _REPEATING.match(self.text, self.place) if "." in text else None
        if power:
            self.place = power.end()
            value *= Fraction(10) ** int(power[1])
        elif repeating:
            self.place, digits = repeating.end(), 0
            value += _cycle("".join(filter(None, repeating.groups())), text)
        elif "." in text and (dots := _DOTS.match(self.text, self.place)):
            self.place, digits = dots.end(), 0
            value += _cycle(_seen(text), text)
        self.add("number", text, value, digits)

    def _letters(self, text: str) -> None:
        low, in_text = text.lower(), any(self.braces)
        if low in known.OPERATORS and low != "times":
            self.add("sign", known.OPERATORS[low])
        elif low == "times" and not self._after_value():
            self.add("word", low)
        elif low == "times" and re.match(r"\s*[\d\\(]", self.text[self.place :]):
            self.add("sign", "*")
        elif low in known.NUMBERS and (in_text or len(low) > 2):
            self.add("number", low, Fraction(known.NUMBERS[low] + self._ones(low)))
        elif low in known.FUNCTIONS:
            self.add("function", low)
        elif low in known.CONSTANTS and len(low) > 1:
            self.add("command", "\\" + low)
        elif text in known.SPELT_GREEK and not in_text:
            self.add("command", "\\" + text)
        elif in_text or self._is_word(low) or (len(text) == 1 and self._divides_unit()):
            self.add("word", low if len(text) > 1 else text)
        else:
            for letter in text:
                self.add("letter", letter)
                self.spaced = False

    def _ones(self, tens: str) -> int:
        """Read the five of twenty-five; the hyphen is no minus."""
        ones = _ONES.match(self.text, self.place) if tens in known.TENS else None
        if ones:
            self.place = ones.end()
        return known.NUMBERS[ones[1].lower()] if ones else 0

    def _is_product(self, low: str) -> bool:
        """In at^2 and 2at, a and t are variables."""
        before = self.tokens[-1] if self.tokens else Token("sign", "(")
        beside = not self.spaced and (before.kind == "number" or before.text == "}")
        raised = self.text[self.place : self.place + 1] in ("^", "_")
        return (beside or raised) and low not in known.MEASURES

    def _is_word(self, low: str) -> bool:
        if len(low) == 1 or (low in known.SMALL_WORDS and self._is_product(low)):
            return False
        if len(low) == 2:
            return (low in known.SYMBOLS and self._after_value()) or low in known.SMALL_WORDS
        return not any(set(low) <= letters for letters in known.PRODUCTS)

    def _divides_unit(self) -> bool:
        """In km/h the h is a unit too."""
        last = self.tokens[-2:]
        return len(last) == 2 and last[0].kind == "word" and last[1].text == "/"

    def _after_value(self) -> bool:
        last = self.tokens[-1] if self.tokens else Token("sign", "(")
        return last.kind in ("number", "letter", "word") or last.text in (")", "}", "\\pi", "/")

    def _command(self, text: str) -> None:
        name = text[1:]
        if name in known.FUNCTIONS and name != "sqrt":
            self.add("function", name)
        elif text in _MARKS:
            self._sign(_MARKS[text])
        else:
            self.add("command", text)

    def _sign(self, text: str) -> None:
        text = _MARKS.get(text, text)
        if text == "{":
            self.braces.append(False)
        elif text == "}":
            if not self.braces:
                raise UnreadableError("a brace is not opened")
            if self.braces.pop():
                self.spaced = True
                return
        elif text == "." and self.tokens and self.tokens[-1].kind == "word":
            return
        self.add("command" if text[0] == "\\" and text[1:].isalpha() else "sign", text)


def _cycle(cycle: str, text: str) -> Fraction:
    """What digits that repeat for ever add to a decimal."""
    places = len(text.partition(".")[2])
    return Fraction(int(cycle), (10 ** len(cycle) - 1) * 10**places)


def _seen(text: str) -> str:
    """The digits that repeat before three dots."""
    seen = _CYCLE_SEEN.search(text.partition(".")[2])
    if not seen:
        raise UnreadableError("dots after digits that do not repeat")
    return seen[1] or seen[2]


def tokens(text: str) -> list[Token]:
    """Read all tokens.

    Raises:
        UnreadableError: for a sign that is none of mathematics, or braces that do not match.
    """
    grouped = _SPACED_GROUPS.sub(lambda found: re.sub(r" |\\,", "", found[0]), text)
    grouped = _APOSTROPHES.sub(lambda found: found[0].replace("'", ""), grouped)
    found = _Reader(grouped).read()
    if found and found[-1].text == "." and len(found) > 1:
        found.pop()
    return found

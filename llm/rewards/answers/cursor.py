"""Steps through the tokens of an answer."""

from abc import ABC, abstractmethod
from fractions import Fraction

from covlaw.llm.rewards.answers.tokens import Token, UnreadableError
from covlaw.llm.rewards.answers.tree import Tree, number
from covlaw.llm.rewards.answers.vocabulary import CURRENCIES

_END = Token("end", "")
_BEGINNING = frozenset(("(", "{", "\\{", *CURRENCIES))
_NEVER_BESIDE = frozenset(
    f"\\{name}"
    for name in ["begin", "end", "emptyset", "circ", "middle", "rfloor", "rceil", "choose"]
)


class Cursor(ABC):
    """A place among tokens; the classes below it read more and more of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.place, self.depth, self.bars = tokens, 0, 0, 0

    def after(self, ahead: int) -> Token:
        """Look ahead."""
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else _END

    def peek(self) -> Token:
        """Look at the next token."""
        return self.after(0)

    @property
    def text(self) -> str:
        """Of the next token, where it is no word or letter that only looks like a sign."""
        return self.peek().text

    @property
    def kind(self) -> str:
        """Of the next token."""
        return self.peek().kind

    def next(self) -> Token:
        """Step."""
        token = self.peek()
        self.place += 1
        return token

    def take(self, text: str) -> bool:
        """Step over a sign if it is the next token."""
        if self.text == text and self.kind in ("sign", "command"):
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Step over a sign that must be there."""
        if not self.take(text):
            raise UnreadableError(f"{text!r} is missing before {self.text!r}")

    def begins_factor(self) -> bool:
        """Tell whether the next token can be multiplied by standing there."""
        if self.kind in ("letter", "function", "word"):
            return True
        if self.kind == "number":  # "2 3" and "x 2" are no products
            return self.tokens[self.place - 1].text == ")"
        if self.kind == "command":
            return self.text not in _NEVER_BESIDE
        return self.text in _BEGINNING or (self.text == "|" and not self.bars)

    def argument(self) -> Tree:
        """Read a group in braces, or one number, letter or command."""
        if self.take("{"):
            inner = self.list()
            if self.take("\\choose"):
                inner = ("call", "binomial", inner, self.list())
            self.expect("}")
            return inner
        return self.atom()

    def digit(self) -> Tree:
        r"""Read an argument of \\frac, where 12 is 1 and then 2."""
        token = self.peek()
        if token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
            self.tokens[self.place] = Token("number", token.text[1:], Fraction(token.text[1:]))
            return number(int(token.text[0]))
        return self.argument()

    def script(self) -> str:
        """Read a subscript as text."""
        if not self.take("{"):
            return self.next().text
        found = ""
        while self.text != "}" and self.kind != "end":
            found += self.next().text
        self.expect("}")
        return found

    @abstractmethod
    def atom(self) -> Tree:
        """Read what binds tightest."""

    @abstractmethod
    def factor(self) -> Tree:
        """Read an atom and what is written behind it."""

    @abstractmethod
    def sum(self) -> Tree:
        """Read terms with signs."""

    @abstractmethod
    def list(self, opening: str = "", closing: str = "") -> Tree:
        """Read relations between commas."""

r"""The atoms of answers: numbers, letters, words."""

from covlaw.llm.rewards.answers import vocabulary as known
from covlaw.llm.rewards.answers.commands import Commands
from covlaw.llm.rewards.answers.tokens import Token, UnreadableError
from covlaw.llm.rewards.answers.tree import Tree, number

_STARTS = frozenset(("(", "[", "\\{", ",", "=", "∈", "∪", "+", "-", "<", ">", "<=", ">=", ":"))


class Atoms(Commands):
    """Reads one atom; `Grammar` adds what joins them."""

    def atom(self) -> Tree:
        """Read what binds tightest."""
        token = self.next()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return self._letter(token.text)
        if token.kind == "word":
            return self._word(token)
        if token.kind == "function":
            return self.function(token.text)
        if token.kind == "command":
            return self.command(token.text[1:])
        return self.bracket(token.text)

    def _number(self, token: Token) -> Tree:
        value = number(token.value, token.digits)
        whole = token.text.isdigit()
        if whole and self.text == "_":
            self.next()
            return ("multiply", value, ("unit", f"base {self.script()}"))
        if whole and self.text == "\\frac" and self.after(1).kind in ("number", "sign"):
            return self._mixed_or_not(value)
        over = [self.after(k) for k in range(3)]
        slash = over[1].text == "/" and over[0].kind == over[2].kind == "number"
        if whole and slash and over[0].spaced and over[0].value < over[2].value:
            self.place += 3
            return ("add", value, number(over[0].value / over[2].value))
        return value

    def _mixed_or_not(self, value: Tree) -> Tree:
        r"""2\frac{1}{3} is 2 + 1/3; with letters it is a product; 2\frac{5}{3} is not clear."""
        start = self.place
        self.next()
        top, bottom = self.digit(), self.digit()
        if top[0] == bottom[0] == "number" and top[2] == bottom[2] == 0:
            if not top[1] < bottom[1]:
                raise UnreadableError("a mixed number whose fraction is not below 1")
            return ("add", value, ("divide", top, bottom))
        self.place = start
        return value

    def _letter(self, letter: str) -> Tree:
        if self.text == "_":
            self.next()
            return ("variable", f"{letter}_{self.script()}")
        if letter in known.CONSTANTS:
            return ("constant", letter)
        return ("variable", letter)

    def _word(self, token: Token) -> Tree:
        word = token.text
        before = self.tokens[self.place - 2].text if self.place > 1 else "("
        known_unit = token.text.lower() in known.MEASURES
        if before in _STARTS or (before == "{" and not known_unit):
            return self._text(token)
        if word in known.OF_UNITS and self.kind == "word":
            return ("power", self._word(self.next()), number(known.OF_UNITS[word]))
        low = word.lower()
        name = known.MEASURES.get(low) or known.COUNTS.get(low)
        return ("unit", name or f"?{low.removesuffix('s')}")

    def _text(self, token: Token) -> Tree:
        """Read words that are an answer of their own."""
        words = [token.text]
        while self.kind == "word":
            words.append(self.next().text)
        if self.text not in ("", ",", ")", "]", "\\}", "}"):
            raise UnreadableError(f"words before mathematics: {words}")
        if len(words) == 1 and len(words[0]) == 1:
            return self._letter(words[0])
        return ("word", " ".join(words))

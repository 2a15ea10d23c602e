r"""The grammar of answers, from the loosest to the tightest binding.

list → relation (, relation)* · relation → ratio (= ratio)* · ratio → union (: union)* ·
union → sum (∪ sum)* · sum → ±term (± term)* · term → factor (·factor | /factor | factor)* ·
factor → atom with ^, !, %, and words such as "squared" behind it.
"""

from collections.abc import Callable
from fractions import Fraction

from covlaw.llm.rewards.answers import vocabulary as known
from covlaw.llm.rewards.answers.atoms import Atoms
from covlaw.llm.rewards.answers.tokens import UnreadableError, tokens
from covlaw.llm.rewards.answers.tree import DEEPEST, Tree, number

_RELATIONS = ("=", "<", ">", "<=", ">=", "!=", "∈")


class Grammar(Atoms):
    """Reads one list of tokens from left to right."""

    def list(self, opening: str = "", closing: str = "") -> Tree:
        """Read relations between commas up to the end of a bracket."""
        items = [self.relation()]
        while self.take(","):
            items.append(self.relation())
        if len(items) == 1 and not opening:
            return items[0]
        return ("list", opening, tuple(items), closing)

    def relation(self) -> Tree:
        """Read a chain of equations or inequalities."""
        parts, signs = [self._joined("ratio", ":", self._union)], []
        while self.text in _RELATIONS:
            signs.append(self.next().text)
            parts.append(self._joined("ratio", ":", self._union))
        return ("relation", tuple(signs), tuple(parts)) if signs else parts[0]

    def _union(self) -> Tree:
        return self._joined("union", "∪", self.sum)

    def _joined(self, kind: str, sign: str, inner: Callable[[], Tree]) -> Tree:
        parts = [inner()]
        while self.take(sign):
            parts.append(inner())
        return (kind, tuple(parts)) if len(parts) > 1 else parts[0]

    def sum(self) -> Tree:
        """Read terms with signs."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnreadableError("too deep")
        total = self._signed()
        while self.text in ("+", "-", "±", "∓"):
            total = ("add", total, self._signed())
        self.depth -= 1
        return total

    def _signed(self) -> Tree:
        if self.take("+"):
            return self._signed()
        if self.take("-"):
            return ("negative", self._signed())
        if self.text in ("±", "∓"):
            sign = self.next().text
            inner: Tree = ("plus_minus", self._signed())
            return inner if sign == "±" else ("negative", inner)
        return self.term()

    def term(self) -> Tree:
        """Read a product; what stands side by side is multiplied."""
        product = self.factor()
        while True:
            if self.take("*"):
                product = ("multiply", product, self._operand())
            elif self.take("/"):
                product = ("divide", product, self._operand())
            elif self.begins_factor():
                product = ("multiply", product, self.factor())
            else:
                return product

    def _operand(self) -> Tree:
        return ("negative", self.factor()) if self.take("-") else self.factor()

    def factor(self) -> Tree:
        """Read an atom and what is written behind it."""
        token = self.peek()
        if token.kind == "word" and token.text in known.MULTIPLES:
            return self._multiple()
        value = self.atom()
        while True:
            if self.take("^"):
                value = self._raised(value)
            elif self.text == "!" and self.after(1).text != "!":
                self.next()
                value = ("call", "factorial", value)
            elif self.take("%"):
                value = ("multiply", value, ("unit", "percent"))
            elif self.take("°"):
                value = ("multiply", value, ("unit", "degree"))
            elif self.kind == "word" and self.text in {*known.POWERS, *known.SCALES, "factorial"}:
                value = self._behind(value)
            else:
                return value

    def _multiple(self) -> Tree:
        multiple = number(Fraction(*known.MULTIPLES[self.next().text]))
        if self.text == "of":
            self.next()
        return ("multiply", multiple, self.factor())

    def _raised(self, value: Tree) -> Tree:
        if self.text == "\\circ" or (self.text == "{" and self.after(1).text == "\\circ"):
            braced = self.take("{")
            self.next()
            if braced:
                self.expect("}")
            return ("multiply", value, ("unit", "degree"))
        if self.take("-"):
            return ("power", value, ("negative", self.argument()))
        return ("power", value, self.argument())

    def _behind(self, value: Tree) -> Tree:
        word = self.next().text
        if word == "factorial":
            return ("call", "factorial", value)
        if word in known.SCALES:
            return ("multiply", value, number(known.SCALES[word]))
        return ("power", value, number(known.POWERS[word]))


def parse(text: str) -> Tree:
    """Read a whole answer.

    Raises:
        UnreadableError: for anything the grammar does not cover.
    """
    reader = Grammar(tokens(text))
    if not reader.tokens:
        raise UnreadableError("nothing")
    tree = reader.list()
    if reader.kind != "end":
        raise UnreadableError(f"{reader.text!r} is left over")
    return tree

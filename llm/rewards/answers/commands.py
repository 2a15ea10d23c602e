r"""Functions, LaTeX commands and brackets of answers."""

from covlaw.llm.rewards.answers import vocabulary as known
from covlaw.llm.rewards.answers.cursor import Cursor
from covlaw.llm.rewards.answers.tokens import UnreadableError
from covlaw.llm.rewards.answers.tree import Tree, number

_CLOSING = {"(": (")", "]"), "[": ("]", ")"), "\\{": ("\\}",)}
_WRAPPED = "underline mathbf boldsymbol bm mathit boxed fbox emph mathsf ensuremath bf rm it"
_WRAPPERS = frozenset(_WRAPPED.split())
_ENDS_ARGUMENT = ("function", "number", "word")
_MATRICES = ("pmatrix", "bmatrix")
_BARE = ("matrix", "smallmatrix", "array")
"""Matrices whose brackets stand around them."""


class Commands(Cursor):
    """Reads what begins with a function's name, a backslash or a bracket."""

    def function(self, name: str) -> Tree:
        r"""Read \sin^2 x, \log_2 8, \sqrt[3]{8}, exp(x)."""
        if name == "sqrt":
            return self._root()
        base = power = None
        if name == "log" and self.take("_"):
            base = self.argument()
        if self.take("^"):
            power = self._power()
        inner = self._operand()
        if base or name == "lg":
            below = ("call", "ln", base or number(10))
            value: Tree = ("divide", ("call", "ln", inner), below)
        elif name == "exp":
            value = ("power", ("constant", "e"), inner)
        elif power == "inverse":
            value = ("call", f"arc{name}", inner)
        else:
            value = ("call", name, inner)
        return ("power", value, power) if isinstance(power, tuple) else value

    def _power(self) -> Tree | str:
        braced = self.take("{")
        if self.take("-"):
            if self.next().text != "1":
                raise UnreadableError("a negative power of a function")
            inverse: Tree | str = "inverse"
        else:
            inverse = self.list() if braced else self.atom()
        if braced:
            self.expect("}")
        return inverse

    def _operand(self) -> Tree:
        """Read a group in brackets alone, or a product up to the next function, sign or word."""
        if self.text in ("(", "{") and self.kind == "sign":
            return self.factor()
        sign = self.take("-")
        value = self.factor()
        while self.begins_factor() and self.kind not in _ENDS_ARGUMENT and self.text != "(":
            value = ("multiply", value, self.factor())
        return ("negative", value) if sign else value

    def _root(self) -> Tree:
        degree: Tree = number(2)
        if self.take("["):
            degree = self.sum()
            self.expect("]")
        return ("power", self.argument(), ("divide", number(1), degree))

    def command(self, name: str) -> Tree:
        """Read a command without its backslash."""
        if name in ("sqrt", "exp"):
            return self.function(name)
        if name in known.CONSTANTS:
            return ("constant", known.CONSTANTS[name])
        if name in known.GREEK:
            return self._greek(name)
        if name in _WRAPPERS:
            return self.argument()
        if name in ("textcolor", "color", "colorbox"):
            self._colour()
            return self.argument()
        if name == "frac":
            return ("divide", self.digit(), self.digit())
        if name == "binom":
            return ("call", "binomial", self.digit(), self.digit())
        if name == "emptyset":
            return ("word", name)
        if name == "mathbb" and self.script() == "R":
            infinity = ("constant", "inf")
            return ("list", "(", (("negative", infinity), infinity), ")")
        return self._delimited(name)

    def _delimited(self, name: str) -> Tree:
        pairs = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceiling")}
        if name in pairs:
            inner = self.sum()
            self.expect(f"\\{pairs[name][0]}")
            return ("call", pairs[name][1], inner)
        if name == "begin":
            return self._matrix()
        raise UnreadableError(f"command \\{name}")

    def _colour(self) -> None:
        """Step over {red}, or [rgb]{1,0,0}."""
        if self.take("["):
            while self.text not in ("]", ""):
                self.next()
            self.expect("]")
        self.script()

    def _greek(self, name: str) -> Tree:
        script = f"_{self.script()}" if self.take("_") else ""
        return ("variable", f"\\{name}{script}")

    def _matrix(self) -> Tree:
        kind = self.script()
        if kind == "array":
            self.script()
        rows = [[self.sum()]]
        while self.text in ("&", "\\\\"):
            if self.take("&"):
                rows[-1].append(self.sum())
            else:
                self.next()
                if self.text == "\\end":
                    break
                rows.append([self.sum()])
        self.expect("\\end")
        if self.script() != kind or kind not in (*_MATRICES, *_BARE):
            raise UnreadableError(f"environment {kind}")
        return ("matrix", tuple(map(tuple, rows)))

    def bracket(self, opening: str) -> Tree:
        """Read what stands between brackets or bars."""
        if opening == "{":
            self.place -= 1
            return self.argument()
        if opening in known.CURRENCIES:
            return ("multiply", ("unit", known.CURRENCIES[opening]), self.factor())
        if opening == "|":
            return self._absolute()
        if opening not in _CLOSING:
            raise UnreadableError(f"{opening!r} begins nothing")
        if opening == "\\{" and self.take("\\}"):
            return ("word", "emptyset")
        bars, self.bars = self.bars, 0
        inner = self.list(opening, "")
        self.bars = bars
        closing = self.next().text
        if closing not in _CLOSING[opening]:
            raise UnreadableError(f"{opening!r} is closed by {closing!r}")
        only: Tree | None = inner[2][0] if len(inner[2]) == 1 else None
        if only and (opening + closing == "()" or (opening == "[" and only[0] == "matrix")):
            return only
        return ("list", opening, inner[2], closing)

    def _absolute(self) -> Tree:
        self.bars += 1
        inner = self.sum()
        self.expect("|")
        self.bars -= 1
        return ("call", "abs", inner)

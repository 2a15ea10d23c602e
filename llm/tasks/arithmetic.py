"""The generated task: small calculations in several difficulties, with no negative result."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from covlaw.llm.tasks.problem import SPLITS, Problem
from covlaw.theory._numerics.errors import CovlawError, unknown

SPLIT_SEED = 0


class Difficulty(NamedTuple):
    """Which calculations are asked."""

    operands: range
    signs: str


DIFFICULTIES: Mapping[str, Difficulty] = {
    "digits": Difficulty(range(1, 10), "+-"),
    "teens": Difficulty(range(1, 20), "+-"),
    "products": Difficulty(range(1, 10), "+-*"),
    "tens": Difficulty(range(1, 100), "+-"),
}
"""`digits` is the default; a base model speaks the language of one difficulty."""

_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


class Calculation(NamedTuple):
    """Left sign right, e.g. 3 + 4."""

    left: int
    sign: str
    right: int

    @property
    def result(self) -> int:
        """The true value."""
        return _OPERATIONS[self.sign](self.left, self.right)

    @property
    def prompt(self) -> str:
        """The question; every prompt is five words long."""
        return f"{self.left} {self.sign} {self.right} = ?"


def calculations(difficulty: str = "digits") -> list[Calculation]:
    """List all calculations of a difficulty: 126 for `digits`, 81 sums and 45 differences.

    Raises:
        CovlawError: for an unknown difficulty, with near matches.
    """
    if difficulty not in DIFFICULTIES:
        raise unknown("difficulty", str(difficulty), tuple(DIFFICULTIES))
    return list(_every(difficulty))


@cache
def _every(difficulty: str) -> tuple[Calculation, ...]:
    operands, signs = DIFFICULTIES[difficulty]
    every = (Calculation(a, sign, b) for sign in signs for a in operands for b in operands)
    return tuple(calculation for calculation in every if calculation.result >= 0)


@cache
def results(difficulty: str = "digits") -> range:
    """Numbers that an answer may state: 0 up to the largest result."""
    return range(max(c.result for c in calculations(difficulty)) + 1)


def splits(difficulty: str = "digits") -> dict[str, list[Calculation]]:
    """Partition into train, val and test (5 : 1 : 1): always the same, never overlapping."""
    every = calculations(difficulty)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(every))
    held_out = len(every) // 7
    parts = np.split(order, [len(every) - 2 * held_out, len(every) - held_out])
    return {
        name: [every[i] for i in sorted(part)] for name, part in zip(SPLITS, parts, strict=True)
    }


def load(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """Sums, differences and products, generated; the only option is `difficulty`.

    Raises:
        CovlawError: when a path is given, or for another option or an unknown difficulty.
    """
    if path is not None:
        raise CovlawError(f"task 'arithmetic' is generated and reads no files: drop path {path!r}")
    for name in options:
        if name != "difficulty":
            raise unknown("option of task 'arithmetic'", name, ("difficulty", "prefix", "suffix"))
    chosen = splits(options.get("difficulty", "digits"))[split]
    return [Problem(c.prompt, str(c.result)) for c in chosen]

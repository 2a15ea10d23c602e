"""The generated task: a ± b with operands from 1 to 9 and no negative result."""

from typing import NamedTuple

import numpy as np

from covlaw.llm.tasks.problem import Problem
from covlaw.theory.errors import CovlawError

OPERANDS = range(1, 10)
RESULTS = range(0, 2 * OPERANDS[-1] + 1)
SPLIT_SIZES = {"train": 90, "val": 18, "test": 18}
SPLIT_SEED = 0


class Calculation(NamedTuple):
    """left ± right."""

    left: int
    sign: str
    right: int

    @property
    def result(self) -> int:
        """The true value."""
        return self.left + self.right if self.sign == "+" else self.left - self.right

    @property
    def prompt(self) -> str:
        """The question; every prompt is five words long."""
        return f"{self.left} {self.sign} {self.right} = ?"


def calculations() -> list[Calculation]:
    """List all 126 calculations: 81 sums and 45 differences."""
    every = [Calculation(a, sign, b) for sign in "+-" for a in OPERANDS for b in OPERANDS]
    return [calculation for calculation in every if calculation.result >= 0]


def splits() -> dict[str, list[Calculation]]:
    """Partition the calculations into train, val and test: always the same, never overlapping."""
    every = calculations()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(every))
    bounds = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
    parts = np.split(order, bounds)
    return {
        name: [every[i] for i in sorted(part)]
        for name, part in zip(SPLIT_SIZES, parts, strict=True)
    }


def load(split: str, path: str | None = None) -> list[Problem]:
    """Return the problems of one split.

    Raises:
        CovlawError: when a path is given.
    """
    if path is not None:
        raise CovlawError(f"task 'arithmetic' is generated and reads no files: drop path {path!r}")
    return [Problem(c.prompt, str(c.result)) for c in splits()[split]]

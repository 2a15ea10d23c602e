"""Wolfe's method for a single Gramian: the cycles of `wolfe`, without what a batch costs.

A training step asks for one small problem; there the overhead of batched tensor operations is ten
times the work. Same rule, same order, same end.
"""

import numpy as np
from numpy.typing import NDArray

from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF

Array = NDArray[np.float64]
Support = NDArray[np.bool_]


def least_norm_point(gram: Array, cycles: int) -> Array:
    """Weights (M,) on the simplex that minimise λ'Gλ to rounding, for (M, M) of scale 1."""
    given = _Problem(gram)
    lowest = float(np.linalg.eigvalsh(given.correlation)[0])
    ridge = max(-2 * lowest, given.rounding(4 * len(gram)))
    weights = _wolfe(_Problem(gram + np.diag(ridge * given.squared)), cycles)
    target = given.affine_minimum(weights > 0)
    if target is None or not (target[weights > 0] > 0).all():
        return weights
    return target if given.gap(target).max() < given.gap(weights).max() else weights


def _wolfe(problem: "_Problem", cycles: int) -> Array:
    count = len(problem.gram)
    weights = np.zeros(count)
    weights[problem.squared.argmin()] = 1.0
    best, least = weights, problem.gap(weights).max()
    support, unsolved = problem.with_worst_row(weights, weights > 0)
    for _ in range(cycles * count):
        if not unsolved:
            break
        weights, support, stuck, inside = _towards(problem, weights, support)
        gap = problem.gap(weights).max()
        if gap < least:
            best, least = weights, gap
        grown, unsolved = problem.with_worst_row(weights, support)
        support = grown if inside else support
        unsolved = (unsolved or not inside) and not stuck
    return best


class _Problem:
    """What every cycle reads of a Gramian."""

    def __init__(self, gram: Array) -> None:
        self.gram, self.squared = gram, gram.diagonal()
        self.norm = np.sqrt(self.squared)
        size = np.outer(self.norm, self.norm)
        safe = np.where(size > 0, size, 1.0)
        self.correlation = np.where(size > 0, gram / safe, np.sign(gram))
        self.unit = self.norm.min() / np.where(self.norm > 0, self.norm, 1.0)
        self.noise = self.rounding(4 * len(gram) + 8)

    @staticmethod
    def rounding(operations: int) -> float:
        """γ of that many operations on terms of size 1, as `rounding`."""
        return operations * UNIT_ROUNDOFF / (1 - operations * UNIT_ROUNDOFF)

    def gap(self, weights: Array) -> Array:
        """Each row's relative gap (M,), as `wolfe.value_and_gap`."""
        row = self.gram @ weights
        length = float(weights @ self.norm)
        if length <= 0:
            return np.zeros_like(weights)
        return np.asarray((weights @ row - row) / (length * (length + self.norm)))

    def with_worst_row(self, weights: Array, support: Support) -> tuple[Support, bool]:
        """The support with the row that violates optimality most, and whether one does."""
        gap = np.where(support, -np.inf, self.gap(weights))
        index = int(gap.argmax())
        grown = support.copy()
        grown[index] = True
        return grown, bool(gap[index] > self.noise)

    def affine_minimum(self, support: Support) -> Array | None:
        """Least-norm point (M,) of the support's affine hull; None where it is not unique."""
        rows = np.flatnonzero(support)
        size = len(rows)
        bordered = np.zeros((size + 1, size + 1))
        bordered[:size, :size] = self.correlation[np.ix_(rows, rows)]
        bordered[:size, size] = bordered[size, :size] = self.unit[rows]
        right = np.zeros(size + 1)
        right[size] = 1.0
        try:
            solution = np.linalg.solve(bordered, right)[:size]
        except np.linalg.LinAlgError:
            return None
        target = np.zeros(len(support))
        target[rows] = solution * self.unit[rows]
        return target if np.isfinite(target).all() else None


def _towards(
    problem: _Problem, weights: Array, support: Support
) -> tuple[Array, Support, bool, bool]:
    """One minor cycle, as `wolfe.minor_cycle`: weights, support, whether stuck, whether inside."""
    target = problem.affine_minimum(support)
    if target is None:
        kept = support & (weights > 0)
        moved = np.where(kept, weights, 0.0)
        return moved / moved.sum(), kept, True, True
    leaving = support & (target <= 0)
    if not leaving.any():
        return target / target.sum(), support & (target > 0), False, True
    ratio = np.full(len(weights), np.inf)
    ratio[leaving] = weights[leaving] / (weights[leaving] - target[leaving])
    first = int(ratio.argmin())
    stuck = bool(ratio[first] <= 0)
    moved = weights if stuck else (weights + ratio[first] * (target - weights)).clip(min=0.0)
    kept = support & (moved > 0)
    kept[first] = False
    moved = np.where(kept, moved, 0.0)
    return moved / moved.sum(), kept, stuck, False

"""T49: f = x² + 3 sin² x is PL, and .48·f(x) + .52·f(x − 3) is not: it has a spurious minimum.

Certified, not sampled: cell by cell for the PL constant, by signs of g' and a floor under g'' for
the minimum.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence._bumpy import (
    BEST,
    SPURIOUS,
    WEIGHTS,
    total,
    total_curvature,
    total_slope,
)
from covlaw.theory.statements.convergence._pl_problems import NO_PL_POLICY


class ExactExample(NamedTuple):
    """The one pair of weights that the statement is about."""

    weights: tuple[float, float]


def sides(example: ExactExample, _: np.random.Generator) -> Sides:
    """2·.175·f ≤ f'² on every cell; signs of g', g'' and g − min g that make a spurious minimum.

    Rounding is added to the left side, so that a tolerance of 0 certifies.
    """
    return joined([_pl_everywhere(bumpy.PL), *_spurious_minimum(example.weights)])


def better_sides(_: ExactExample, __: np.random.Generator) -> Sides:
    """The false variant: the PL constant .1756, just above the best one (.17553)."""
    x = torch.linspace(2.2, 2.204, 401, dtype=torch.float64)
    left, right = 2 * 0.1756 * bumpy.value(x), bumpy.slope(x).square()
    return Sides(left, right, rounding(left + 16, 64))


def _pl_everywhere(constant: float) -> Part:
    upper, lower = bumpy.pl_margin(constant)
    return upper + rounding(upper + lower, 64), lower, torch.zeros_like(lower)


def _spurious_minimum(weights: tuple[float, float]) -> list[Part]:
    """0 < −g' and g' at the ends, 0 < g'' between, 0 < g − g(best): rounding against each."""
    ends = torch.tensor(SPURIOUS, dtype=torch.float64)
    slopes, width = total_slope(ends, weights), float(ends[1] - ends[0])
    # |g'''| ≤ 12, |g'| ≤ 8·10 and |g''| ≤ 8 on the bracket
    bend = total_curvature(ends[:1], weights) - 12 * width
    lowest = total(ends[:1], weights) - slopes.abs().max() * width - 8 * width**2
    best = total(torch.tensor([BEST], dtype=torch.float64), weights)
    error = rounding(torch.full((1,), 100.0, dtype=torch.float64), 64)
    margins = (-slopes[:1], slopes[1:], bend, lowest - best)
    return [(error, margin, torch.zeros_like(error)) for margin in margins]


def _draw(_: np.random.Generator, count: int) -> Iterator[ExactExample]:
    yield from [ExactExample(WEIGHTS)] * min(count, 1)


STATEMENT = Statement(
    id="T49",
    title="A weighted sum of PL functions need not be PL",
    kind="bound",
    formula="f = x² + 3 sin² x: f'² ≥ 2·.175·f everywhere; g = .48 f(x) + .52 f(x − 3): strict"
    " local minimum at x = .38356 with g = 4.2242 > 3.9388 = g(2.654)",
    latex=r"f=x^2+3\sin^2x,\ \mu\ge.175;\qquad .48f(x)+.52f(x-3)\ \text{has a spurious strict"
    r" minimum at } x=.38356",
    assumptions=(
        "the exact example: one dimension, two objectives, weights .48 and .52",
        "certified on cells of width 1.2e-4 up to |x| = 8, in closed form near 0 and beyond",
    ),
    source="ours (f: Karimi, Nutini & Schmidt 2016)",
    needs=ExactExample,
    sides=sides,
    control=NegativeControl("the PL constant .1756, just above the best", better_sides),
    ensemble=Ensemble(_draw, 1),
    not_applicable=NO_PL_POLICY,
    explanation="It is tempting to say: every objective satisfies the PL inequality, hence so does"
    " their weighted sum, hence training on the sum converges to its best point. The first step"
    " fails. Here two copies of one PL function, shifted by 3 and mixed almost evenly, have a local"
    " minimum that is not the global one; a run that starts near it stays there forever. A"
    " convergence theorem must assume PL for the sum itself.",
)

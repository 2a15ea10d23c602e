"""The nearest false variant of most claims: the same with a constant that is somewhat off."""

import numpy as np

from covlaw.theory.statements.base import NegativeControl, Sides, SidesOf


def scaled(sides: SidesOf, factor: float) -> SidesOf:
    """The claim with `factor` times its predicted side."""

    def variant(instance: object, rng: np.random.Generator) -> Sides:
        right = sides(instance, rng)
        halves = None if right.halves is None else right.halves._replace(scale=factor)
        return right._replace(predicted=factor * right.predicted, halves=halves)

    return variant


def one_percent_less(sides: SidesOf, of: str) -> NegativeControl:
    """A bound 1 % below one that is attained."""
    return NegativeControl(f"{of} 1 % smaller", scaled(sides, 0.99))

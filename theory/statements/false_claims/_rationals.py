"""Small rational instances in order of size, and their exact moments."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count, product

Vector = tuple[Fraction, ...]
Integers = tuple[int, ...]


def policies(arms: int, denominator: int) -> Iterator[Vector]:
    """Positive probabilities with exactly this common denominator, in lexicographic order."""
    for parts in product(range(1, denominator), repeat=arms - 1):
        last = denominator - sum(parts)
        if last > 0:
            policy = tuple(Fraction(k, denominator) for k in (*parts, last))
            if max(p.denominator for p in policy) == denominator:
                yield policy


def growing_policies(arms: int) -> Iterator[tuple[int, Vector]]:
    """(denominator, policy), smallest denominator first, without end."""
    for denominator in count(arms):
        for policy in policies(arms, denominator):
            yield denominator, policy


def integer_vectors(length: int, largest: int) -> Iterator[Integers]:
    """Vectors in {0, …, largest}^length, smaller sums first; 0 occurs (offsets never matter)."""
    vectors = product(range(largest + 1), repeat=length)
    yield from sorted((v for v in vectors if min(v) == 0 and max(v) > 0), key=lambda v: (sum(v), v))


def mean(policy: Vector, values: Sequence[Fraction | int]) -> Fraction:
    """E_π v."""
    return sum((p * v for p, v in zip(policy, values, strict=True)), Fraction(0))


def centred(policy: Vector, values: Sequence[Fraction | int]) -> Vector:
    """Subtract the mean: v − E_π v."""
    offset = mean(policy, values)
    return tuple(v - offset for v in values)


def covariance(
    policy: Vector, values: Sequence[Fraction | int], others: Sequence[Fraction | int]
) -> Fraction:
    """Cov_π(v, w)."""
    return mean(policy, [a * b for a, b in zip(centred(policy, values), others, strict=True)])


def alignment(
    policy: Vector, values: Sequence[Fraction | int], others: Sequence[Fraction | int]
) -> Fraction:
    """⟨∇J_v, ∇J_w⟩ = Σ π² A_v A_w of the tabular softmax (T11)."""
    pairs = zip(policy, centred(policy, values), centred(policy, others), strict=True)
    return sum((p * p * a * b for p, a, b in pairs), Fraction(0))


def uniform(arms: int) -> Vector:
    """Equal probabilities."""
    return (Fraction(1, arms),) * arms

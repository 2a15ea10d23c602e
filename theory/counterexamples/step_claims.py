"""F4, F5: the law is said to hold for every step size, and under clipping."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, product

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast
from covlaw.theory.counterexamples.gradient_claims import opposed
from covlaw.theory.counterexamples.rationals import (
    centred,
    covariance,
    growing_policies,
    integer_vectors,
    mean,
    policies,
)

CLIP = Fraction(1, 5)


def _tilts() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for doublings, r, s in product((1, 2, 3), vectors, vectors):
            yield {"π": policy, "r": r, "s": s, "η": f"{doublings}·ln 2", "e^η": 2**doublings}


def _tilted_change(case: Case) -> Contrast | None:
    """e^η is an integer, so the tilted policy is rational."""
    policy, r, s = case["π"], case["r"], case["s"]
    weight = [p * case["e^η"] ** score for p, score in zip(policy, s, strict=True)]
    tilted = tuple(w / sum(weight) for w in weight)
    return opposed(covariance(policy, r, s), mean(tilted, r) - mean(policy, r))


def _policy_pairs() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for denominator in count(3):
        pairs = list(product(policies(3, denominator), repeat=2))
        for (old, new), s in product(pairs, vectors):
            yield {"π_old": old, "π_θ": new, "s": s, "ε": CLIP}


def _own_score(case: Case) -> Contrast | None:
    """Cov_θ(s, A) is what unclipped ascent does to its own score, Cov_θ(s, A·1) what clipped does.

    An arm is clipped where A > 0 and ρ > 1 + ε, or A < 0 and ρ < 1 − ε.
    """
    old, new, s = case["π_old"], case["π_θ"], case["s"]
    advantage = centred(old, s)
    kept = [
        a if (n <= (1 + CLIP) * o if a >= 0 else n >= (1 - CLIP) * o) else 0
        for a, o, n in zip(advantage, old, new, strict=True)
    ]
    return opposed(covariance(new, s, advantage), covariance(new, s, kept))


CLAIMS = (
    Claim(
        "F4",
        "The covariance law gives the sign of the change for every step size η",
        "Cov(r, s)",
        "E_η r − E r after the tilt by η",
        "denominator of π, then η in multiples of ln 2, then the entries of r and s; 3 arms",
        _tilts,
        _tilted_change,
    ),
    Claim(
        "F5",
        "Clipping keeps the sign: a clipped step never lowers its own score",
        "Cov_θ(s, A), without clipping",
        "Cov_θ(s, A·1), with clipping",
        "common denominator of π_old and π_θ, then the entries of s; 3 arms, ε = 1/5",
        _policy_pairs,
        _own_score,
    ),
)

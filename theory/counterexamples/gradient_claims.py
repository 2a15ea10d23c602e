"""F1–F3: a positive covariance is said to make gradient ascent on the score improve a reward."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, product

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast
from covlaw.theory.counterexamples.rationals import (
    alignment,
    covariance,
    growing_policies,
    integer_vectors,
)


def opposed(forecast: Fraction, outcome: Fraction) -> Contrast | None:
    """Keep a pair whose forecast is positive and whose outcome is negative."""
    return Contrast(forecast, outcome) if forecast > 0 > outcome else None


def _bandits() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for r, s in product(vectors, vectors):
            yield {"π": policy, "r": r, "s": s}


def _policy_gradient(case: Case) -> Contrast | None:
    policy, r, s = case["π"], case["r"], case["s"]
    return opposed(covariance(policy, r, s), alignment(policy, r, s))


def _one_feature() -> Iterator[Case]:
    features = list(integer_vectors(3, 1))
    for _, policy in growing_policies(3):
        for phi, r, s in product(features, features, features):
            yield {"π": policy, "φ": phi, "r": r, "s": s}


def _natural_gradient(case: Case) -> Contrast | None:
    policy, phi, r, s = case["π"], case["φ"], case["r"], case["s"]
    information = covariance(policy, phi, phi)
    projected = covariance(policy, r, phi) * covariance(policy, phi, s) / information
    return opposed(covariance(policy, r, s), projected)


def _two_prompts() -> Iterator[Case]:
    for size in count(2):
        for d1, d2, g1, g2 in product(range(2, size + 1), range(2, size + 1), (1, 2), (-1, -2, -3)):
            if max(d1, d2) == size:
                yield {"p": (Fraction(1, d1), Fraction(1, d2)), "product of the arm gaps": (g1, g2)}


def _sum_over_prompts(case: Case) -> Contrast | None:
    """Two equiprobable prompts: Σ D p(1−p)·gaps against Σ D²·2p²(1−p)²·gaps (T11)."""
    spread = [p * (1 - p) for p in case["p"]]
    gaps, half = case["product of the arm gaps"], Fraction(1, 2)
    law = sum(half * v * g for v, g in zip(spread, gaps, strict=True))
    gradient = sum(half**2 * 2 * v * v * g for v, g in zip(spread, gaps, strict=True))
    sign = -1 if law < 0 else 1  # both products may be turned round
    return opposed(sign * law, sign * gradient)


CLAIMS = (
    Claim(
        "F1",
        "A positive covariance makes the plain policy gradient of s improve r",
        "Cov(r, s)",
        "⟨∇J_r, ∇J_s⟩",
        "denominator of π, then the entries of r and s in {0, 1, 2}; 3 arms",
        _bandits,
        _policy_gradient,
    ),
    Claim(
        "F2",
        "The natural gradient always follows the covariance",
        "Cov(r, s)",
        "⟨g_r, F⁺ g_s⟩ with one feature φ",
        "denominator of π, then the 0/1 entries of φ, r and s; 3 arms",
        _one_feature,
        _natural_gradient,
    ),
    Claim(
        "F3",
        "With two arms a prompt the policy gradient agrees with the covariance",
        "Cov(r, s) over two equiprobable prompts",
        "⟨∇J_r, ∇J_s⟩",
        "larger denominator of p = P(arm 1 | prompt), then the products of the arm gaps",
        _two_prompts,
        _sum_over_prompts,
    ),
)

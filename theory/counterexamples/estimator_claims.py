"""F6, F7, F14: normalising, centring and pooling are said to leave the law alone."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, product

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast
from covlaw.theory.counterexamples.gradient_claims import opposed
from covlaw.theory.counterexamples.rationals import (
    covariance,
    growing_policies,
    integer_vectors,
    uniform,
)


def _bandits() -> Iterator[Case]:
    scores = list(integer_vectors(3, 4))
    for _, policy in growing_policies(3):
        for r, s in product(integer_vectors(3, 1), scores):
            yield {"π": policy, "r": r, "s": s}


def _group_of_two(case: Case) -> Contrast | None:
    """E[GRPO_2] = (√2/4)·Σ_{y,y'} π π' (r − r')·sign(s − s'): with K = 2 only ranks are left."""
    policy, r, s = case["π"], case["r"], case["s"]
    arms = range(len(policy))
    ranks = sum(
        policy[i] * policy[j] * (r[i] - r[j]) * ((s[i] > s[j]) - (s[i] < s[j]))
        for i in arms
        for j in arms
    )
    return opposed(covariance(policy, r, s), Fraction(ranks) / 4)


def _lengths() -> Iterator[Case]:
    for _, policy in growing_policies(2):
        for r, length in product(integer_vectors(2, 1), product((1, 2, 3), repeat=2)):
            yield {"π": policy, "r": r, "L": length}


def _constant_advantage(case: Case) -> Contrast | None:
    """An advantage of 1 everywhere, divided by the length, acts as the score 1/L (T18)."""
    inverse = [Fraction(1, length) for length in case["L"]]
    drift = covariance(case["π"], case["r"], inverse)
    return Contrast(Fraction(0), drift) if drift != 0 else None


def _prompts() -> Iterator[Case]:
    vectors = list(integer_vectors(4, 2))
    for r, s in sorted(product(vectors, vectors), key=lambda pair: sum(pair[0]) + sum(pair[1])):
        yield {"r": (r[:2], r[2:]), "s": (s[:2], s[2:])}


def _pooled(case: Case) -> Contrast | None:
    """Two equiprobable prompts of two equiprobable completions each."""
    pair = zip(case["r"], case["s"], strict=True)
    law = sum(covariance(uniform(2), r, s) for r, s in pair) / 2
    pooled = covariance(uniform(4), *(list(chain(*case[name])) for name in "rs"))
    return opposed(pooled, Fraction(law))


CLAIMS = (
    Claim(
        "F6",
        "Dividing by the group's standard deviation (GRPO) keeps the sign of the covariance",
        "Cov(r, s)",
        "E of GRPO's estimate at K = 2, in units of √2",
        "denominator of π, then the entries of r and s; 3 arms",
        _bandits,
        _group_of_two,
    ),
    Claim(
        "F7",
        "A constant advantage is neutral",
        "change of r under a constant advantage, by the claim",
        "Cov(r, 1/L) under length normalisation",
        "denominator of π, then r, then the lengths L; 2 arms",
        _lengths,
        _constant_advantage,
    ),
    Claim(
        "F14",
        "The pooled covariance is the law",
        "covariance over all completions together",
        "mean within-prompt covariance",
        "entries of r and s; 2 prompts of 2 equiprobable completions",
        _prompts,
        _pooled,
    ),
)

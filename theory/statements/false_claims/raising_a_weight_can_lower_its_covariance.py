"""F9: raising λ_j does not always raise Cov(r_j, advantage): under global whitening it can fall.

Two prompts with two equiprobable completions, r_1 = (0, 1 | 1, 1), r_2 = (0, 1 | 0, 1): from
λ = (3, 1) to (4, 1) the whitened covariance of r_1 falls from .3050 to .3032. Here
∂y_1/∂λ_1 < 0 ⇔ λ_1 > 2λ_2. True with raw, GRPO and pooled advantages (Cauchy–Schwarz).
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._whitened_pairs import signal, small_pairs
from covlaw.theory.worlds.world import World

REWARDS = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (1.0, 1.0))
PROMPT = (0, 0, 1, 1)
LISTED = (3.0, 4.0)
"""λ_1 before and after, λ_2 = 1."""
NORMALISERS = ("raw", "grpo", "pooled")
"""Where the claim is true."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The promised rise λ_1' − λ_1 against the change of Cov(r_1, whitened advantage)."""
    del world
    return _changes(("whitened",), _pairs(rng))


def other_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: raw, GRPO's and pooled advantages."""
    del world
    return _changes(NORMALISERS, _pairs(rng))


def _pairs(rng: np.random.Generator) -> list[tuple[float, float]]:
    low = float(rng.uniform(2.1, 6.0))
    return [LISTED, (low, low * float(rng.uniform(1.1, 1.5)))]


def _changes(normalisers: tuple[str, ...], pairs: list[tuple[float, float]]) -> Sides:
    changes = [
        covariance_of_first(name, after) - covariance_of_first(name, before)
        for name in normalisers
        for before, after in pairs
    ]
    rises = [after - before for before, after in pairs] * len(normalisers)
    promised = torch.tensor(rises, dtype=torch.float64)
    largest = max(after for _, after in pairs)
    return Sides(torch.stack(changes), promised, rounding(torch.full_like(promised, largest), 256))


def covariance_of_first(normaliser: str, weight: float) -> Tensor:
    """Cov(r_1, advantage of the score weight·r_1 + r_2): (), by enumeration."""
    rewards = torch.tensor(REWARDS, dtype=torch.float64)
    prompt = torch.tensor(PROMPT)
    half = torch.full((4,), 0.5, dtype=torch.float64)
    advantage = _advantage(rewards @ torch.tensor([weight, 1.0], dtype=torch.float64), normaliser)
    return within_prompt_covariance(rewards[:, :1], advantage, prompt, half).estimate[0]


def _advantage(score: Tensor, normaliser: str) -> Tensor:
    groups = group_by_prompt(torch.tensor(PROMPT))
    centred = groups.centre(score, groups.share(None))
    scale = {
        "raw": torch.ones_like(score),
        "grpo": groups.spread((groups.sum(centred.square()) / groups.counts).sqrt()),
        "pooled": centred.square().mean().sqrt().expand_as(score),
        "whitened": score.std(correction=0).expand_as(score),
    }[normaliser]
    return (centred if normaliser != "whitened" else score - score.mean()) / scale


def _cases() -> Iterator[Case]:
    for case in small_pairs():
        for share in range(1, 10):
            yield {**case, "λ": (Fraction(share, 10), Fraction(10 - share, 10))}


def _refute(case: Case) -> Contrast | None:
    """(λ'Σλ)^{3/2}·dy₁/dλ₁ = C₁₁·λ'Σλ − (Cλ)₁(Σλ)₁ (T38)."""
    weights, c11 = case["λ"], case["C"][0][0]
    numerator, square = signal(case, weights)
    pushed = numerator[0] + case["B"][0][0] * weights[0]
    gain = c11 * square - numerator[0] * pushed
    return Contrast(Fraction(c11), gain) if gain < 0 else None


CLAIM = Claim(
    id="F9",
    sentence="Raising an objective's weight raises its covariance with the advantage",
    forecast="C₁₁, the sign of the effect without whitening",
    outcome="(λ'Σλ)^{3/2}·dy₁/dλ₁ under global whitening",
    order="sum of the entries of B and C, then λ₁ in tenths; 2 objectives",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F9",
    title="Raising an objective's weight can lower its covariance under global whitening",
    kind="counterexample",
    formula="r_1 = (0, 1 | 1, 1), r_2 = (0, 1 | 0, 1), two prompts, uniform arms:"
    " λ = (3, 1) → (4, 1) takes y_1 from .3050 to .3032 under y = Cλ/√(λ'Σλ)",
    latex=r"\frac{\partial y_1}{\partial\lambda_1}<0 \quad\text{for } y=C\lambda/\sqrt{\lambda'"
    r"\Sigma\lambda}",
    assumptions=("advantage divided by the std of all scores (REINFORCE++)", "λ_1 > 2λ_2"),
    source="ours (T38)",
    explanation="With raw advantages, and with a standard deviation taken within prompts, a larger "
    "weight on a reward never lowers that reward's covariance with the advantage. Divided by the "
    "standard deviation of all scores it can: the weight also inflates the spread between easy and "
    "hard prompts, and with it the denominator. Two pass/fail rewards on two prompts suffice.",
    needs=World,
    sides=sides,
    control=NegativeControl("raw, GRPO's and pooled advantages, where it is true", other_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

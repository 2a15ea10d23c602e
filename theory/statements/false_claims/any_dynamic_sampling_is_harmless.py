"""F16: filtering groups on one reward can turn the sign of what the training does to another.

Two prompts, two equal arms: r_1 = (1, 1), r_2 = (0, 1) and r_1 = (0, 1), r_2 = (1/2, 0), s = r_1 +
r_2, K = 2: law (1/16, 3/32), and (1/4, −1/8) from the groups whose r_1 is not constant.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.prompts import Rows, explicit_prompts, flat
from covlaw.theory.statements.false_claims._explicit.worlds import forecast_against_change
from covlaw.theory.statements.false_claims._rationals import covariance, uniform
from covlaw.theory.worlds.world import World

HALF = Fraction(1, 2)
POLICY = ((HALF, HALF), (HALF, HALF))
ACCURACY: Rows = ((1, 1), (0, 1))
OTHER: Rows = ((0, 1), (HALF, 0))
SCORE: Rows = [
    [a + b for a, b in zip(*rows, strict=True)] for rows in zip(ACCURACY, OTHER, strict=True)
]
ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r_2, s) > 0 against the change of r_2 by groups filtered on r_1."""
    del world
    return _changes(ACCURACY, (*ETAS, float(10 ** rng.uniform(-3, 0))))


def score_filter_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: the filter looks at the score (T53)."""
    del world, rng
    return _changes(SCORE, ETAS)


def _changes(watched: Rows, etas: tuple[float, ...]) -> Sides:
    """Tilts along the expected signal of kept pairs: E_{y'}[(s − s')·1[watched differs]]."""
    bandit = explicit_prompts("F16", POLICY, OTHER)
    signal = _kept_signal(flat(SCORE), flat(watched))
    change = forecast_against_change(bandit, signal, signal, etas)
    mass = bandit.log_prob_at().exp()
    law = within_prompt_covariance(bandit.rewards, flat(SCORE), bandit.prompt, mass)
    return change._replace(predicted=law.estimate.repeat(len(etas)))


def _kept_signal(score: Tensor, watched: Tensor) -> Tensor:
    """E over the other completion of a pair, two equal arms a prompt: (4,)."""
    pairs, seen = score.reshape(2, 2), watched.reshape(2, 2)
    kept = (seen != seen.flip(1)).to(torch.float64)
    return (kept * (pairs - pairs.flip(1)) / 2).reshape(-1)


def filtered(policy: tuple[Fraction, ...], rewards: list[Rows], watched: Rows) -> list[Fraction]:
    """E[Ĉ(r_j, s) | kept] over pairs of completions of equally likely prompts, exactly."""
    arms, shown, chance = range(len(policy)), [Fraction(0)] * len(rewards), Fraction(0)
    for x in range(len(watched)):
        s = [sum(Fraction(reward[x][i]) for reward in rewards) for i in arms]
        for i, j in product(arms, arms):
            if watched[x][i] == watched[x][j]:
                continue
            weight = policy[i] * policy[j]
            chance += weight
            for k, reward in enumerate(rewards):
                shown[k] += weight * (reward[x][i] - reward[x][j]) * (s[i] - s[j]) / 2
    return [total / chance if chance else Fraction(0) for total in shown]


def _cases() -> Iterator[Case]:
    rows = list(product(range(3), repeat=2))
    cases = [(a, b, c, d) for a, b, c, d in product(rows, repeat=4) if min(a + b + c + d) == 0]
    for a, b, c, d in sorted(cases, key=lambda v: (sum(map(sum, v)), v)):
        yield {"r₁": (a, b), "r₂": (c, d)}


def _refute(case: Case) -> Contrast | None:
    """Cov(r₂, r₁ + r₂) of two prompts with equal arms; groups of 2 whose r₁ differs."""
    first, second, policy = case["r₁"], case["r₂"], uniform(2)
    scores = [
        [a + b for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)
    ]
    laws = [covariance(policy, r, s) for r, s in zip(second, scores, strict=True)]
    outcome = filtered(policy, [first, second], first)[1]
    return opposed(Fraction(sum(laws)) / 2, outcome)


CLAIM = Claim(
    id="F16",
    sentence="Dropping groups without signal (dynamic sampling) is harmless whatever it looks at",
    forecast="Cov(r₂, s), s = r₁ + r₂",
    outcome="what groups of two show of it that are kept for their r₁",
    order="sum of the rewards; two prompts of two equal arms, entries 0, 1, 2",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F16",
    title="Dynamic sampling on one reward can turn the sign of another",
    kind="counterexample",
    explanation="Dynamic sampling is usually set to drop the groups in which accuracy is "
    "constant. Where several rewards are trained, such a group may still teach another reward: "
    "here the prompt on which the second reward gains most has an accuracy of 1 throughout and is "
    "never seen again, and on what is left the second reward is the price of the first. A filter "
    "on the whole score is harmless (T53); on a named reward, compare the law with and without "
    "it.",
    formula="r_1 = (1, 1), r_2 = (0, 1) | r_1 = (0, 1), r_2 = (1/2, 0), K = 2: law (1/16, 3/32),"
    " groups kept for r_1: (1/4, −1/8)",
    latex=r"\mathrm{Cov}(r,s)=\big(\tfrac1{16},\tfrac3{32}\big)\quad\text{but}\quad"
    r"\mathbb E[\hat C\mid\text{kept}]=\big(\tfrac14,-\tfrac18\big)",
    assumptions=(
        "two prompts, equally likely, two equal arms each",
        "groups of two, s = r_1 + r_2",
    ),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the filter looks at the score: the claim is true", score_filter_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

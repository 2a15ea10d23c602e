"""F14: a covariance over the whole batch, not centred prompt by prompt, is not the law.

Two prompts, uniform arms, r = ((0, 1), (10, 11)), s = ((1, 0), (11, 10)): pooled Cov = +24.75,
law −1/4, and the tilt along s lowers r (Simpson's paradox).
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, product

import numpy as np
import torch

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.prompts import Rows, explicit_prompts, flat
from covlaw.theory.statements.false_claims._explicit.worlds import forecast_against_change
from covlaw.theory.statements.false_claims._rationals import covariance, integer_vectors, uniform
from covlaw.theory.worlds.world import World

HALF = Fraction(1, 2)
UNIFORM = ((HALF, HALF), (HALF, HALF))
REWARD, SCORE = ((0, 1), (10, 11)), ((1, 0), (11, 10))
SAME_MEANS = ((0, 1), (0, 1)), ((1, 0), (1, 0))
ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The pooled covariance against the change of r by tilts of listed η and of a random one."""
    return _tilt(REWARD, SCORE, (*ETAS, float(10 ** rng.uniform(-3, 0))))


def same_means_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: both prompts have the same mean reward and score."""
    return _tilt(*SAME_MEANS, ETAS)


def _tilt(reward: Rows, score: Rows, etas: tuple[float, ...]) -> Sides:
    # one free logit an arm: adding η·s to the logits is the tilt
    bandit, s = explicit_prompts("F14", UNIFORM, reward), flat(score)
    change = forecast_against_change(bandit, s, s, etas)
    together = torch.zeros_like(bandit.prompt)
    pooled = within_prompt_covariance(bandit.rewards, s, together, bandit.row_weight()).estimate
    return change._replace(predicted=pooled.repeat(len(etas)))


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(4, 2))
    for r, s in sorted(product(vectors, vectors), key=lambda pair: sum(pair[0]) + sum(pair[1])):
        yield {"r": (r[:2], r[2:]), "s": (s[:2], s[2:])}


def _refute(case: Case) -> Contrast | None:
    """Two equiprobable prompts of two equiprobable completions each."""
    pair = zip(case["r"], case["s"], strict=True)
    law = sum(covariance(uniform(2), r, s) for r, s in pair) / 2
    pooled = covariance(uniform(4), *(list(chain(*case[name])) for name in "rs"))
    return opposed(pooled, Fraction(law))


CLAIM = Claim(
    id="F14",
    sentence="The pooled covariance is the law",
    forecast="covariance over all completions together",
    outcome="mean within-prompt covariance",
    order="entries of r and s; 2 prompts of 2 equiprobable completions",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F14",
    title="The covariance over a whole batch is not the law and can oppose it",
    explanation="Two prompts, one easy and one hard: on the easy one every answer gets a high"
    " reward r and a high training score s, so over the batch the two look strongly correlated"
    " (+24.75). Within each prompt, however, the answer with the higher score has the lower reward,"
    " and training only moves probability within prompts: r falls. Controllers and dashboards that"
    " forget to centre by prompt read this batch exactly the wrong way round.",
    kind="counterexample",
    formula="uniform arms, r = ((0, 1), (10, 11)), s = ((1, 0), (11, 10)): pooled Cov = +24.75,"
    " law = −1/4",
    latex=r"\mathrm{Cov}(r,s)=+24.75\quad\text{but}\quad\mathbb{E}_x\mathrm{Cov}_x(r,s)=-\tfrac14",
    assumptions=("two prompts of two arms", "the tilt along s, one free logit an arm"),
    source="known (Simpson's paradox)",
    needs=World,
    sides=sides,
    control=NegativeControl("prompts of equal means, where the claim is true", same_means_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

"""F6: dividing by the group's std (GRPO) does not keep the covariance's sign.

Across prompts: uniform arms, r = ((1, 0), (0, 2)), s = ((1, 0), (1/10, 0)): mean Cov = +.10, the
standardised score gives −.25. Within one: π = (1/4, 1/4, 1/2), r = (0, 1, 1), s = (1, 4, 0):
Cov = +1/16, a group of K = 2 shows −√2/32 on average.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.batches import all_batches
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.prompts import explicit_prompts, flat
from covlaw.theory.statements.false_claims._explicit.worlds import (
    Rationals,
    as_tensor,
    explicit_bandit,
    forecast_against_change,
)
from covlaw.theory.statements.false_claims._rationals import (
    covariance,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.worlds.world import World

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
UNIFORM = ((HALF, HALF), (HALF, HALF))
PROMPT_REWARD, PROMPT_SCORE = ((1, 0), (0, 2)), ((1, 0), (Fraction(1, 10), 0))
POLICY, REWARD, SCORE = (QUARTER, QUARTER, HALF), (0, 1, 1), (1, 4, 0)
PASS_FAIL = (1, 1, 0)
"""The control's score: of two values, so that a group cannot reorder it (T23)."""

ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov > 0 against the change along standardised scores, and against what groups of 2 show."""
    etas = (*ETAS, float(10 ** rng.uniform(-3, 0)))
    return joined([across_prompts(etas)[:3], groups_of_two(SCORE)[:3]])


def pass_fail_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: one prompt and a score of two values."""
    return groups_of_two(PASS_FAIL)


def across_prompts(etas: tuple[float, ...]) -> Sides:
    """The mean covariance against the change of r, one free logit an arm, along η·Â."""
    bandit, s = explicit_prompts("F6", UNIFORM, PROMPT_REWARD), flat(PROMPT_SCORE)
    advantage = NORMALISERS["grpo"](s, group_by_prompt(bandit.prompt))
    change = forecast_against_change(bandit, advantage, advantage, etas)
    law = within_prompt_covariance(bandit.rewards, s, bandit.prompt, bandit.log_prob_at().exp())
    return change._replace(predicted=law.estimate.repeat(len(etas)))


def groups_of_two(score: Rationals) -> Sides:
    """Cov(r, s) against the mean of r·Â over all groups of two completions."""
    bandit, s = explicit_bandit("F6", POLICY, REWARD), as_tensor(score)
    law = within_prompt_covariance(bandit.rewards, s, bandit.prompt, bandit.log_prob_at().exp())
    shown = shown_by_groups(bandit, s, 2)
    return Sides(shown, law.estimate, rounding(torch.ones(1), 256))


def shown_by_groups(bandit: World, score: Tensor, completions: int) -> Tensor:
    """E[(1/K) Σ r_k Â_k] of the only prompt over all groups of K: (1,)."""
    batches = all_batches(bandit, completions)
    groups = group_by_prompt(batches.owner)
    advantage = NORMALISERS["grpo"](score[batches.flat], groups)
    shown = groups.sum(bandit.rewards[batches.flat] * advantage[:, None]) / completions
    return batches.expectation(shown)[0]


def _cases() -> Iterator[Case]:
    scores = list(integer_vectors(3, 4))
    for _, policy in growing_policies(3):
        for r, s in product(integer_vectors(3, 1), scores):
            yield {"π": policy, "r": r, "s": s}


def _refute(case: Case) -> Contrast | None:
    """E[GRPO_2] = (√2/4)·Σ_{y,y'} π π' (r − r')·sign(s − s'): with K = 2 only ranks are left."""
    policy, r, s = case["π"], case["r"], case["s"]
    arms = range(len(policy))
    ranks = sum(
        policy[i] * policy[j] * (r[i] - r[j]) * ((s[i] > s[j]) - (s[i] < s[j]))
        for i in arms
        for j in arms
    )
    return opposed(covariance(policy, r, s), Fraction(ranks) / 4)


CLAIM = Claim(
    id="F6",
    sentence="Dividing by the group's standard deviation (GRPO) keeps the sign of the covariance",
    forecast="Cov(r, s)",
    outcome="E of GRPO's estimate at K = 2, in units of √2",
    order="denominator of π, then the entries of r and s; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F6",
    title="Dividing by the group's std can turn the covariance's sign",
    explanation="GRPO divides every completion's score s by the standard deviation (std) of its"
    " group. Across prompts this gives the most weight to prompts whose scores hardly vary, and a"
    " small group keeps little but the order of its scores. Both can turn the sign: the"
    " covariance of a reward r with s says that r rises, and training on the standardised score"
    " lowers it.",
    kind="counterexample",
    formula="r = ((1, 0), (0, 2)), s = ((1, 0), (.1, 0)): Cov = +.10, standardised −.25;"
    " π = (1/4, 1/4, 1/2), r = (0, 1, 1), s = (1, 4, 0): Cov = +1/16, E[GRPO_2] = −√2/32",
    latex=r"\mathrm{Cov}(r,s)=\tfrac1{16}\quad\text{but}\quad"
    r"\mathbb{E}\,\tfrac12\sum_k r_k\hat A_k=-\tfrac{\sqrt2}{32}",
    assumptions=("std with ddof 1, groups of equal scores give 0", "one free logit an arm"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("one prompt, pass/fail score: the claim is true", pass_fail_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

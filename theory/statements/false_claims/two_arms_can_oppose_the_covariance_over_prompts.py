"""F3: that gradients follow the covariance with two arms is lost with a second prompt.

One free logit an arm, p = (1/2, 1/10), gaps of r and s with products −1 and +3: Cov = +.01, yet
⟨∇J_r, ∇J_s⟩ = −.0191. One shared parameter of opposite sign, p = 1/2, gaps r = (1, 3) and
s = (3, 1): Cov_x = +.75 in both prompts, yet ⟨∇J_r, ∇J_s⟩ = −.0625.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, product

import numpy as np

from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.prompts import Rows, explicit_prompts, flat
from covlaw.theory.statements.false_claims._explicit.worlds import forecast_against_change
from covlaw.theory.worlds.world import World

HALF = Fraction(1, 2)
UNEVEN = ((HALF, HALF), (Fraction(9, 10), Fraction(1, 10)))
UNEVEN_REWARD, UNEVEN_SCORE = ((0, 1), (0, 3)), ((0, -1), (0, 1))
EVEN = ((HALF, HALF), (HALF, HALF))
SHARED_REWARD, SHARED_SCORE = ((0, 1), (0, 3)), ((0, 3), (0, 1))
OPPOSITE = ((0, 1), (0, -1))
"""How the one parameter enters the logits of the two prompts."""

ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov > 0 against the change of r after θ + η∇J_s, in both bandits, at four η."""
    etas = (*ETAS, float(10 ** rng.uniform(-3, 0)))
    separate = explicit_prompts("F3, free logits", UNEVEN, UNEVEN_REWARD)
    shared = explicit_prompts("F3, shared parameter", EVEN, SHARED_REWARD, OPPOSITE)
    cases = ((separate, UNEVEN_SCORE), (shared, SHARED_SCORE))
    return joined([_follow_gradient(bandit, score, etas)[:3] for bandit, score in cases])


def equal_policy_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: free logits and the same policy in both prompts."""
    p = Fraction(int(rng.integers(1, 10)), 10)
    policies = ((1 - p, p), (1 - p, p))
    bandit = explicit_prompts("equal policies", policies, UNEVEN_REWARD)
    return _follow_gradient(bandit, UNEVEN_SCORE, (1e-3, 1e-2))


def _follow_gradient(bandit: World, score: Rows, etas: tuple[float, ...]) -> Sides:
    s = flat(score)
    gradient = bandit.score_sum(bandit.row_weight() * centred_score(bandit, s))
    return forecast_against_change(bandit, s, gradient, etas)


def _cases() -> Iterator[Case]:
    for size in count(2):
        for d1, d2, g1, g2 in product(range(2, size + 1), range(2, size + 1), (1, 2), (-1, -2, -3)):
            if max(d1, d2) == size:
                yield {"p": (Fraction(1, d1), Fraction(1, d2)), "product of the arm gaps": (g1, g2)}


def _refute(case: Case) -> Contrast | None:
    """Two equiprobable prompts: Σ D p(1−p)·gaps against Σ D²·2p²(1−p)²·gaps (T11)."""
    spread = [p * (1 - p) for p in case["p"]]
    gaps, half = case["product of the arm gaps"], Fraction(1, 2)
    law = sum(half * v * g for v, g in zip(spread, gaps, strict=True))
    gradient = sum(half**2 * 2 * v * v * g for v, g in zip(spread, gaps, strict=True))
    sign = -1 if law < 0 else 1  # both products may be turned round
    return opposed(sign * law, sign * gradient)


CLAIM = Claim(
    id="F3",
    sentence="With two arms a prompt the policy gradient agrees with the covariance",
    forecast="Cov(r, s) over two equiprobable prompts",
    outcome="⟨∇J_r, ∇J_s⟩",
    order="larger denominator of p = P(arm 1 | prompt), then the products of the arm gaps",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F3",
    title="With two prompts, even two arms each can oppose the covariance",
    explanation="With a single prompt and two possible answers (arms) a plain policy gradient"
    " always moves a reward r as its covariance with the training score s says. This does not carry"
    " over to several prompts: the gradient favours prompts on which the policy is undecided, and"
    " parameters that prompts share can pull them in opposite directions. In the first example the"
    " mean covariance is positive, in the second that of each prompt; following the gradient of s"
    " lowers r in both.",
    kind="counterexample",
    formula="D = (½, ½), p = (1/2, 1/10), products of gaps (−1, 3): Cov = +.01, ⟨∇J_r, ∇J_s⟩ ="
    " −.0191; shared θ, p = ½, gaps r = (1, 3), s = (3, 1): Cov_x = (.75, .75), −.0625",
    latex=r"\overline{\mathrm{Cov}}(r,s)=+.01\quad\text{but}\quad"
    r"\langle\nabla J_r,\nabla J_s\rangle=-.0191",
    assumptions=("two prompts of two arms", "plain gradient ascent on J_s"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("equal policies, where the claim is true", equal_policy_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

"""F5: "clipping keeps signs, and the clipped surrogate never lowers its own score" is false.

π_old = (1/4, 1/4, 1/2), ε = .2. Own score: s = (1, 2, 0), π_θ = (1/4, 1/2, 1/4), law −1/64. Another
objective: s = (0, 1, 2), r = (0, 1, 1), after one step of .3: law −.0094, unclipped +.240 (T28).
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, product

import numpy as np
from torch import Tensor

from covlaw.theory.losses.clipping import Clip
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.clipping._clipped_ascent import Bandits
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.worlds import (
    Rationals,
    as_tensor,
    explicit_bandit,
    forecast_against_change,
)
from covlaw.theory.statements.false_claims._rationals import (
    centred,
    covariance,
    integer_vectors,
    policies,
)
from covlaw.theory.worlds.world import World

OLD = (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2))
NEW = (Fraction(1, 4), Fraction(1, 2), Fraction(1, 4))
SCORE = (1, 2, 0)
CROSS_SCORE, CROSS_REWARD, CROSS_RATE = (0, 1, 2), (0, 1, 1), 0.3
CLIP: Clip = (0.2, 0.2, None)
NO_CLIP: Clip = (1.0, float("inf"), None)
ETAS = (1e-3, 0.01, 0.1)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """What the unclipped law forecasts against natural steps on the clipped surrogate."""
    del world
    return _steps(CLIP, (*ETAS, float(10 ** rng.uniform(-3, -1))))


def unclipped_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: nothing is clipped."""
    del world
    return _steps(NO_CLIP, (*ETAS, float(10 ** rng.uniform(-3, -1))))


def _steps(clip: Clip, etas: tuple[float, ...]) -> Sides:
    own = explicit_bandit("F5", NEW, SCORE)
    cross = explicit_bandit("F5", OLD, CROSS_REWARD)
    step = as_tensor(CROSS_SCORE) - float(_mean(OLD, CROSS_SCORE))
    cross_at = _moved(cross, CROSS_RATE * step)
    parts = [
        forecast_against_change(own, as_tensor(SCORE), _direction(own, SCORE, clip), etas),
        forecast_against_change(
            cross_at, as_tensor(CROSS_SCORE), _direction(cross_at, CROSS_SCORE, clip), etas
        ),
    ]
    return joined([part[:3] for part in parts])


def _direction(world: World, score: Rationals, clip: Clip) -> Tensor:
    """A·1[not clipped] at the world's policy: the natural step on the clipped surrogate."""
    bandit = Bandits(as_tensor(OLD).log()[None], as_tensor(score)[None])
    return bandit.kept(world.log_prob_at().exp()[None], clip)[0]


def _moved(world: World, logits: Tensor) -> World:
    """The bandit with a logit an arm after a step, as a world of its own."""
    base = world.log_prob

    def log_prob(theta: Tensor) -> Tensor:
        return base(theta + logits)

    return World(
        world.label, world.prompt, world.rewards, world.names, world.theta, log_prob, None, True
    )


def _mean(policy: Rationals, values: Rationals) -> Fraction:
    return sum((Fraction(p) * v for p, v in zip(policy, values, strict=True)), Fraction(0))


RANGE = Fraction(1, 5)
"""CLIP's range on either side, exactly."""


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for denominator in count(3):
        pairs = list(product(policies(3, denominator), repeat=2))
        for (old, new), s in product(pairs, vectors):
            yield {"π_old": old, "π_θ": new, "s": s, "ε": RANGE}


def _refute(case: Case) -> Contrast | None:
    """Cov_θ(s, A) is what unclipped ascent does to its own score, Cov_θ(s, A·1) what clipped does.

    An arm is clipped where A > 0 and ρ > 1 + ε, or A < 0 and ρ < 1 − ε.
    """
    old, new, s = case["π_old"], case["π_θ"], case["s"]
    advantage = centred(old, s)
    kept = [
        a if (n <= (1 + RANGE) * o if a >= 0 else n >= (1 - RANGE) * o) else 0
        for a, o, n in zip(advantage, old, new, strict=True)
    ]
    return opposed(covariance(new, s, advantage), covariance(new, s, kept))


CLAIM = Claim(
    id="F5",
    sentence="Clipping keeps the sign: a clipped step never lowers its own score",
    forecast="Cov_θ(s, A), without clipping",
    outcome="Cov_θ(s, A·1), with clipping",
    order="common denominator of π_old and π_θ, then the entries of s; 3 arms, ε = 1/5",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F5",
    title="Clipping can turn the sign of the law, even that of the trained score itself",
    kind="counterexample",
    explanation="It is tempting to think that clipping only slows an update down: it removes some "
    "terms of the gradient, so every objective should keep moving as the covariance with the "
    "training score s says, and s itself should rise. In both examples it is not so. With three "
    "arms and the usual range of 0.2, an inner step lowers the very score it is trained on, and "
    "another one lowers a reward r that the unclipped law raises.",
    formula="π_old = (1/4, 1/4, 1/2), ε = .2: s = (1, 2, 0) at π_θ = (1/4, 1/2, 1/4): −1/64;"
    " s = (0, 1, 2), r = (0, 1, 1) after a step of .3: −.0094 (unclipped +.240)",
    latex=r"\mathrm{Cov}_\theta(s,A\,\mathbf 1)=-\tfrac1{64}\quad\text{but}\quad"
    r"\mathrm{Var}_\theta(s)>0",
    assumptions=("one free logit an arm", "natural gradient ascent on the clipped surrogate"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("no clipping, where the claim is true", unclipped_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

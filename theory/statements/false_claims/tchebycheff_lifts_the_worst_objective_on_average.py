"""F15: Tchebycheff can lower the very objective that falls short most on average.

Two arms, π = (3/4, 1/4), r₁ = (0, 1), r₂ = (3, 1), w = (1/2, 1/2), z = (1, 3), the best rewards.
On average r₁ falls short most (3/8 against 1/4), but the arm that is good for it is the worse one
of the two: s = (−1/2, −1), Cov(r₁, s) = −3/32.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._explicit.objectives import (
    claimed_gain,
    explicit_objectives,
    tilt_direction,
)
from covlaw.theory.statements.false_claims._rationals import (
    covariance,
    growing_policies,
    integer_vectors,
    mean,
)
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch
from covlaw.theory.worlds.world import World

POLICY = (Fraction(3, 4), Fraction(1, 4))
REWARDS = ((0, 1), (3, 1))
IDEAL, FAR_IDEAL = (1, 3), (10, 3)
"""The best rewards; and an ideal point at which r₁ falls short most on every arm."""
ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The claim that r₁, the worst on average, rises against its change along the tilt by s."""
    bandit = explicit_objectives("F15", POLICY, REWARDS)
    etas = (*ETAS, float(10 ** rng.uniform(-3, 0)))
    return claimed_gain(bandit, [0], tilt_direction(bandit, tchebycheff_score(bandit)), etas)


def dominating_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: r₁ falls short most on every arm, Cov(r₁, s) = Var(r₁)/2."""
    bandit = explicit_objectives("far ideal", POLICY, REWARDS)
    score = tchebycheff_score(bandit, FAR_IDEAL)
    return claimed_gain(bandit, [0], tilt_direction(bandit, score), ETAS)


def tchebycheff_score(bandit: World, ideal: tuple[int, ...] | None = None) -> Tensor:
    """s (n,) of the scalarizer with equal weights."""
    scalarizer = make_scalarizer("tchebycheff", bandit.names, ideal=ideal)
    return scalarizer.signal(scalarizer.init(), frozen_batch(bandit))[1].score


def shortfalls(bandit: World) -> Tensor:
    """w_i(z_i − E r_i) of each objective: (2,)."""
    return (torch.tensor(IDEAL, dtype=torch.float64) - bandit.value()) / 2


def _cases() -> Iterator[Case]:
    rewards = list(integer_vectors(3, 3))
    for _, policy in growing_policies(3):
        for first, second, z in product(rewards, rewards, ((1, 1), (1, 2), (1, 3))):
            yield {"π": policy, "r": (first, second), "z": z, "w": (Fraction(1, 2),) * 2}


def _refute(case: Case) -> Contrast | None:
    """s = −max_i w_i(z_i − r_i), and the objective that is worst on average."""
    policy, rewards, weights, ideal = case["π"], case["r"], case["w"], case["z"]
    objectives = list(zip(weights, ideal, rewards, strict=True))
    gaps = [w * (z - mean(policy, r)) for w, z, r in objectives]
    if gaps[0] == gaps[1]:
        return None
    worst = 0 if gaps[0] > gaps[1] else 1
    score = [-max(w * (z - r[arm]) for w, z, r in objectives) for arm in range(len(policy))]
    moved = covariance(policy, rewards[worst], score)
    remark = f"objective {worst + 1} is the worst on average"
    return Contrast(gaps[worst], moved, remark) if moved < 0 else None


CLAIM = Claim(
    id="F15",
    sentence="Tchebycheff lifts the objective that is worst on average",
    forecast="largest w_i(z_i − E r_i), that objective's gap",
    outcome="its Cov(r_i, s)",
    order="denominator of π, then the entries of both rewards, then z; 3 arms, w = (1/2, 1/2)",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F15",
    title="Tchebycheff need not lift the objective that is worst on average",
    explanation="Tchebycheff scalarization is meant to help whoever is worst off. It judges each"
    " completion by its own worst shortfall, and the mean of a maximum is more than the maximum of"
    " the means: here r₁ is worst on average, yet the arm that is good for r₁ scores lower, because"
    " it is bad for r₂, and training lowers r₁ further. If one objective is worst on every"
    " completion, the claim is true (E8).",
    kind="counterexample",
    formula="π = (3/4, 1/4), r₁ = (0, 1), r₂ = (3, 1), z = (1, 3), w = (1/2, 1/2):"
    " shortfalls 3/8 > 1/4, Cov(r₁, s) = −3/32",
    latex=r"w_1(z_1-\mathbb{E}r_1)=\tfrac38>\tfrac14=w_2(z_2-\mathbb{E}r_2),\quad"
    r"\mathrm{Cov}(r_1,s)=-\tfrac3{32}",
    assumptions=("the ideal point is the best of each reward", "steps along the tilt by the score"),
    source="ours, of the rule of Bowman 1976",
    needs=World,
    sides=sides,
    control=NegativeControl("r₁ worst on every arm, where the claim is true", dominating_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

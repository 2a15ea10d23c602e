"""F17: GDPO does not protect every objective once there are three.

Four equal arms, r_1 = r_2 = (0, 0, 0, 1), r_3 = (0, 1, 1, 0): corr_13 = −1/√3, and
Cov(r_3, Σ_k z_k) = (1 − 2/√3)/2 = −.0774.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.objectives import (
    claimed_gain,
    explicit_objectives,
    tilt_direction,
)
from covlaw.theory.statements.false_claims._rationals import (
    Integers,
    covariance,
    integer_vectors,
    uniform,
)
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch
from covlaw.theory.worlds.world import World

REWARDS = ((0, 0, 0, 1), (0, 0, 0, 1), (0, 1, 1, 0))
ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The claim that r₃ rises against its change by tilts along GDPO's signal."""
    del world
    return claimed_gain(*_trained("F17", REWARDS), (*ETAS, float(10 ** rng.uniform(-3, 0))))


def two_objective_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: r₁ and r₃ alone, 1 + corr = 1 − 1/√3."""
    del world, rng
    return claimed_gain(*_trained("two objectives", (REWARDS[0], REWARDS[2])), ETAS)


@cache
def _trained(label: str, rewards: tuple[Integers, ...]) -> tuple[World, tuple[int, ...], Tensor]:
    """The bandit, its last objective, and the direction of the tilt along GDPO's signal."""
    bandit = explicit_objectives(label, uniform(4), rewards)
    return bandit, (len(rewards) - 1,), tilt_direction(bandit, gdpo_score(bandit))


def gdpo_score(bandit: World) -> Tensor:
    """Σ_k z_k (n,) with equal weights."""
    scalarizer = make_scalarizer("gdpo", bandit.names, whiten=False)
    score: Tensor = scalarizer.signal(scalarizer.init(), frozen_batch(bandit))[1].score
    return torch.as_tensor(len(bandit.names)) * score


def _cases() -> Iterator[Case]:
    for arms in (2, 3, 4):
        for pair, last in product(integer_vectors(arms, 1), repeat=2):
            yield {"π": uniform(arms), "r₁ = r₂": pair, "r₃": last}


def _refute(case: Case) -> Contrast | None:
    """Two equal rewards: 1 + 2·corr < 0 ⇔ C₁₃ < 0 and V₁V₃ < 4·C₁₃², which is rational."""
    policy, pair, last = case["π"], case["r₁ = r₂"], case["r₃"]
    shared = covariance(policy, pair, last)
    product_of = covariance(policy, pair, pair) * covariance(policy, last, last)
    return opposed(product_of, product_of - 4 * shared**2) if shared < 0 else None


CLAIM = Claim(
    id="F17",
    sentence="GDPO protects every objective, for it frees them of their scales",
    forecast="V₁·V₃, what the objective contributes itself",
    outcome="V₁·V₃ − 4·C₁₃², of the sign of Cov(r₃, Σ z) where C₁₃ < 0",
    order="number of equiprobable arms; two equal pass/fail rewards and a third",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F17",
    title="GDPO does not protect every objective once there are three",
    explanation="GDPO gives every reward the same scale, which sounds as if each were heard "
    "equally. What it adds up are still correlations (T54): two rewards that agree with each "
    "other and oppose a third outvote it, and the third falls from the first step on. With two "
    "rewards of equal weight the claim is true. Counting a reward twice under two names is enough "
    "to break it.",
    kind="counterexample",
    formula="π = (1/4, 1/4, 1/4, 1/4), r₁ = r₂ = (0, 0, 0, 1), r₃ = (0, 1, 1, 0):"
    " Cov(r, Σ_k z_k) = (+.616, +.616, −.0774)",
    latex=r"\mathrm{Cov}(r_3,\textstyle\sum_kz_k)=\tfrac12\big(1-\tfrac2{\sqrt3}\big)<0",
    assumptions=(
        "one free logit an arm",
        "equal weights, the policy's own mean and std",
        "the tilt",
    ),
    source="ours, of the signal of Liu et al. 2026 (arXiv 2601.05242)",
    needs=World,
    sides=sides,
    control=NegativeControl("two objectives, where the claim is true", two_objective_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

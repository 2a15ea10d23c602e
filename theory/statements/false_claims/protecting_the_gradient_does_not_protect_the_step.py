"""F18: one AdamW step along MGDA's direction can lower an objective.

π = (1/4, 1/4, 1/2), r₁ = (0, 1, 2), r₂ = (1, 1, 0): λ₁ = 30/79, d = (−13, 17, −4)/316 and
⟨g_j, d⟩ = |d|² = 3/632 > 0 for both; AdamW's first step is the sign of d, and ⟨g₁, sign d⟩ = −1/8.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._explicit.objectives import (
    claimed_gain,
    explicit_objectives,
    gradient_direction,
)
from covlaw.theory.statements.false_claims._rationals import (
    Integers,
    Vector,
    centred,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.statements.scalarization._frozen_worlds import mgda_weights, policy_gradients
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2))
REWARDS = ((0, 1, 2), (1, 1, 0))
ETAS = (1e-3, 0.01, 0.1)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The claim that r₁ rises against its change under AdamW's first step along d."""
    bandit, ascent = _ascent()
    etas = (*ETAS, float(10 ** rng.uniform(-3, -1)))
    return claimed_gain(bandit, [0], adamw_direction(ascent), etas)


def plain_step_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: small plain gradient steps along d."""
    bandit, ascent = _ascent()
    return claimed_gain(bandit, [0, 1], ascent, ETAS)


def adamw_direction(ascent: Tensor) -> Tensor:
    """AdamW's first step along an ascent direction, a learning rate of 1: its sign, from torch."""
    parameter = nn.Parameter(torch.zeros_like(ascent))
    parameter.grad = -ascent
    torch.optim.AdamW([parameter], lr=1.0, weight_decay=0.0, eps=0.0).step()
    return parameter.detach()


@cache
def _ascent() -> tuple[World, Tensor]:
    """The bandit, and d = Σ λ_k g_k (n,) with the weights that the scalarizer gives it."""
    bandit = explicit_objectives("F18", POLICY, REWARDS)
    score = bandit.rewards @ mgda_weights(bandit, policy_gradients(bandit))
    return bandit, gradient_direction(bandit, score)


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for first, second in product(vectors, vectors):
            yield {"π": policy, "r": (first, second)}


def _refute(case: Case) -> Contrast | None:
    """d = argmin |λg₁ + (1 − λ)g₂|², and ⟨g₁, sign d⟩."""
    policy, (first, second) = case["π"], case["r"]
    g, h = _gradient(policy, first), _gradient(policy, second)
    a, b, c = _product(g, g), _product(g, h), _product(h, h)
    if a == 0 or c == 0 or b >= min(a, c):
        return None  # one gradient alone, or none: no trade-off
    weight = (c - b) / (a + c - 2 * b)
    ascent = tuple(weight * x + (1 - weight) * y for x, y in zip(g, h, strict=True))
    promised = _product(g, ascent)
    stepped = _product(g, tuple(Fraction((x > 0) - (x < 0)) for x in ascent))
    remark = f"λ = ({weight}, {1 - weight}), d = ({', '.join(str(x) for x in ascent)})"
    return Contrast(promised, stepped, remark) if promised > 0 > stepped else None


def _gradient(policy: Vector, reward: Integers) -> Vector:
    """∇J in the logits: π(r − E r)."""
    return tuple(p * x for p, x in zip(policy, centred(policy, reward), strict=True))


def _product(left: Vector, right: Vector) -> Fraction:
    return sum((x * y for x, y in zip(left, right, strict=True)), Fraction(0))


CLAIM = Claim(
    id="F18",
    sentence="Protecting the gradient protects the step",
    forecast="⟨g₁, d⟩ = |d|², d MGDA's direction",
    outcome="⟨g₁, sign d⟩, AdamW's first step along d",
    order="denominator of π, then the entries of both rewards; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F18",
    title="Protecting the gradient does not protect the step",
    explanation="MGDA's direction has a positive inner product with every objective's gradient,"
    " so a plain gradient step along it lowers none. But few take plain gradient steps: AdamW"
    " divides each coordinate by its own second moment, and its first step is the direction's sign."
    " Here that lowers r₁ for every learning rate, at once. So methods that protect the gradient"
    " (MGDA, UPGrad, GEM) protect nothing under such an optimiser; the finished step is what has to"
    " be guarded (T58, T61).",
    kind="counterexample",
    formula="π = (1/4, 1/4, 1/2), r₁ = (0, 1, 2), r₂ = (1, 1, 0): λ₁ = 30/79,"
    " ⟨g_j, d⟩ = 3/632 for both, ⟨g₁, sign d⟩ = −1/8",
    latex=r"\lambda_1=\tfrac{30}{79},\quad\langle g_j,d\rangle=\tfrac{3}{632},\quad"
    r"\langle g_1,\mathrm{sign}\,d\rangle=-\tfrac18",
    assumptions=("one free logit an arm", "AdamW's first step: ε = 0, no weight decay"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("plain gradient steps, where the claim is true", plain_step_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

"""F7: "a constant added to every advantage is neutral" is false once a loss divides by length.

π = (1/4, 1/4, 1/2), L = (4, 4, 1), r = (0, 1, 0), s = (0, 1, 1). Mean over each completion's
tokens: Cov(r, (s − b)/L) = +1/64 with b = 1, −1/128 with b = E s = 3/4. Mean over the tokens of a
batch of two: −17/640 with b = 0, +11/1280 with b = 3/4.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements._support.token_losses import (
    NO_CLIP,
    loss_ascent,
    natural_slope,
    natural_slope_rounding,
    pair_loss_ascent,
)
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._explicit.trees import fan_tree
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor
from covlaw.theory.statements.false_claims._rationals import (
    covariance,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2))
LENGTHS, REWARD, SCORE = (4, 4, 1), (0, 1, 0), (0, 1, 1)
MEAN_SCORE = Fraction(3, 4)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The forecast from one baseline against what the real losses do with others."""
    del world
    lower = MEAN_SCORE * Fraction(int(rng.integers(1, 10)), 10)
    pairs = [
        (slope("sequence_mean", 1), slope("sequence_mean", MEAN_SCORE)),
        (slope("sequence_mean", 1), slope("sequence_mean", lower)),
        (slope("token_mean", 0), slope("token_mean", MEAN_SCORE)),
    ]
    return joined([(outcome, forecast, _error()) for forecast, outcome in pairs])


def undivided_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: the sum over tokens."""
    del world, rng
    return Sides(slope("sequence_sum", MEAN_SCORE), slope("sequence_sum", 1), _error())


@cache
def slope(aggregation: str, baseline: Fraction | int) -> Tensor:
    """Rate of change of E r along the natural gradient of a real loss with advantages s − b: (1,).

    Raises:
        CovlawError: for an unknown aggregation.
    """
    fan, advantage = tree(), as_tensor(SCORE) - float(baseline)
    if aggregation == "token_mean":
        return natural_slope(fan, pair_loss_ascent(fan, advantage))
    return natural_slope(fan, loss_ascent(fan, advantage, PPO(*NO_CLIP, aggregation)))


@cache
def tree() -> TokenTree:
    """Three completions that differ in their first token and in length."""
    return fan_tree("F7", POLICY, REWARD, LENGTHS)


def _error() -> Tensor:
    return natural_slope_rounding(tree(), torch.ones(()))


def _cases() -> Iterator[Case]:
    for _, policy in growing_policies(2):
        for r, length in product(integer_vectors(2, 1), product((1, 2, 3), repeat=2)):
            yield {"π": policy, "r": r, "L": length}


def _refute(case: Case) -> Contrast | None:
    """An advantage of 1 everywhere, divided by the length, acts as the score 1/L (T18)."""
    inverse = [Fraction(1, length) for length in case["L"]]
    drift = covariance(case["π"], case["r"], inverse)
    return Contrast(Fraction(0), drift) if drift != 0 else None


CLAIM = Claim(
    id="F7",
    sentence="A constant advantage is neutral",
    forecast="change of r under a constant advantage, by the claim",
    outcome="Cov(r, 1/L) under length normalisation",
    order="denominator of π, then r, then the lengths L; 2 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F7",
    title="A constant added to every advantage is not neutral where a loss divides by length",
    kind="counterexample",
    explanation="Policy gradient is often said not to care about a baseline b, since a constant "
    "advantage has a zero expected gradient. That is so for a sum over tokens. A loss that takes "
    "the mean over the tokens of a completion, or of a batch, weighs the constant by length. In "
    "this example with completions of 4, 4 and 1 tokens, the reward r rises with one baseline and "
    "falls with another, everything else being equal.",
    formula="π = (1/4, 1/4, 1/2), L = (4, 4, 1), r = (0, 1, 0), s = (0, 1, 1):"
    " Cov(r, (s − 1)/L) = +1/64, Cov(r, (s − 3/4)/L) = −1/128",
    latex=r"\mathrm{Cov}\big(r,\tfrac{s-1}{L}\big)=+\tfrac1{64}\quad\text{but}\quad"
    r"\mathrm{Cov}\big(r,\tfrac{s-\mathbb{E}s}{L}\big)=-\tfrac1{128}",
    assumptions=(
        "one free logit a (context, token), natural gradient of the real loss, on policy",
        "token mean: batches of two independent completions",
    ),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the sum over tokens, where the claim is true", undivided_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

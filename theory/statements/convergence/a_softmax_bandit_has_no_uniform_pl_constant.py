"""T45: the PL ratio of a two-armed softmax bandit is p²(1 − p)d, which vanishes at both ends.

Hence no μ > 0 has |∇J|² ≥ 2μ(J* − J) everywhere, not even near the optimum.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Proof, Sides, Statement
from covlaw.theory.statements.convergence._softmax_rows import world_rows
from covlaw.theory.worlds.world import World

CHUNK = 4096
NO_FREE_LOGITS = "its policy has no free logit a completion"


class TwoArms(NamedTuple):
    """B bandits with rewards (d, 0) and p the probability of the better arm."""

    logits: Tensor
    """(B, 2)."""
    difference: Tensor
    """(B,) d > 0."""


def sides(source: World | TwoArms, _: np.random.Generator) -> Sides:
    """|∇J|²/(2(J* − J)) by autograd, against p²(1 − p)d."""
    return _compare(source, 2)


def one_sided_sides(source: World | TwoArms, _: np.random.Generator) -> Sides:
    """The false variant: p(1 − p)d."""
    return _compare(source, 1)


def _compare(source: World | TwoArms, power: int) -> Sides:
    arms = source if isinstance(source, TwoArms) else two_armed(source)
    odds = arms.logits[:, 0] - arms.logits[:, 1]
    best, rest = odds.sigmoid(), (-odds).sigmoid()
    ratio = pl_ratio(arms)
    # near p = 1 the gradient p(d − pd) cancels: an error of u·p·d, which the gap (1 − p)d divides
    size = best.square() * arms.difference * (2 + arms.logits.abs().amax(1))
    return Sides(ratio, best**power * rest * arms.difference, rounding(size, 64))


def pl_ratio(arms: TwoArms) -> Tensor:
    """|∇J|²/(2(J* − J)) with ∇J by autograd: (B,)."""
    logits = arms.logits.clone().requires_grad_()
    value = logits.softmax(1)[:, 0] @ arms.difference
    gradient = torch.autograd.grad(value, logits)[0]
    gap = (arms.logits[:, 1] - arms.logits[:, 0]).sigmoid() * arms.difference
    return gradient.square().sum(1) / (2 * gap)


def two_armed(world: World) -> TwoArms:
    """Each prompt's likeliest best and worst completion as a bandit of their own."""
    rows = world_rows(world)
    masked = torch.where(rows.log_prob > -torch.inf, rows.shortfall, torch.nan)
    ends = [torch.where(masked == end, rows.log_prob, -torch.inf).amax(1) for end in (0.0, 1.0)]
    return TwoArms(torch.stack(ends, 1), torch.ones(len(ends[0]), dtype=torch.float64))


def draw_two_arms(rng: np.random.Generator, count: int) -> Iterator[TwoArms]:
    """Yield bandits from p = 1e-9 to 1 − 1e-9 and differences from 1e-9 to 1e9."""
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        odds = rng.uniform(-20, 20, size)
        offset = rng.normal(size=size)
        yield TwoArms(
            torch.as_tensor(np.stack([odds + offset, offset], 1)),
            torch.as_tensor(10 ** rng.uniform(-9, 9, size)),
        )


@cache
def proofs() -> list[Proof]:
    """The ratio itself, and its limits."""
    from covlaw.theory.statements.convergence import _symbolic_softmax as symbolic

    at_zero, at_one = symbolic.two_arm_limits()
    return [
        Proof("|∇J|²/(2(J* − J)) − p²(1 − p)d = 0", symbolic.two_arm_pl_residual()),
        Proof("p → 0: the ratio's limit is 0", at_zero),
        Proof("p → 1, the optimum: the ratio's limit is 0", at_one),
    ]


STATEMENT = Statement(
    id="T45",
    title="A softmax bandit has no uniform PL constant, not even near its optimum",
    kind="identity",
    formula="two arms, rewards (d, 0), p = π(a*): |∇J|²/(2(J* − J)) = p²(1 − p)d,"
    " → 0 as p → 0 and as p → 1",
    latex=r"\frac{|\nabla J|^2}{2(J^*-J)} = p^2(1-p)\,d \;\to\; 0"
    r"\quad\text{as } p\to0 \text{ and as } p\to1",
    assumptions=("two completions, one free logit each", "plain gradients in the logits"),
    source="known in substance (Mei et al. 2020: only a non-uniform PL inequality holds); closed"
    " form ours",
    needs=World,
    sides=sides,
    control=NegativeControl("p(1 − p)d, of first order at both ends", one_sided_sides),
    ensemble=Ensemble(draw_two_arms, 4096),
    not_applicable={
        "tabular": NO_FREE_LOGITS,
        "transformer": NO_FREE_LOGITS,
        "llm": NO_FISHER_IN_AN_LLM,
    },
    proofs=proofs,
    explanation="A PL constant μ is a floor under |∇J|²/(2·gap): with it, gradient steps converge"
    " geometrically (T41). For a softmax policy that ratio has no floor. It vanishes where the"
    " better completion is rare (p → 0: training starts slowly) and again where it is nearly"
    " certain (p → 1: training ends slowly). A geometric rate for such a policy therefore needs"
    " regularisation, bounded logits, or another geometry such as the natural gradient.",
)

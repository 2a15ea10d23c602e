"""T53: dropping the groups whose score is constant multiplies every objective's law by one factor.

E[Ĉ·1_kept] = E_x C_x, so that the groups left show E_x C_x/P(kept); likewise under GRPO's std.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import Groups, group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.batches import Batches, all_batches
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import (
    NOTHING,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.worlds.world import World

SIZES = (2, 3, 4)
"""K: completions a group."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """What the groups left show on average, by listing all groups, against E_x C_x/P(kept)."""
    few, score, size = _case(world, rng)
    return joined([_left(few, score, score, size, name) for name in ("rloo", "grpo")])


def one_reward_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the filter looks at one of the rewards that the score adds up."""
    few, score, size = _case(world, rng)
    return joined([_left(few, score, few.rewards[:, -1], size, "rloo")])


def unscaled_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the groups left show the law itself."""
    few, score, size = _case(world, rng)
    return joined([_left(few, score, score, size, "rloo", scale=False)])


def _case(world: World, rng: np.random.Generator) -> tuple[World, Tensor, int]:
    """Few completions, with a pass/fail reward last; the score adds another pass/fail to it."""
    few = on_few_completions(world, rng, completions=4)
    passed, other = (torch.as_tensor(rng.integers(0, 2, len(few.prompt)) * 1.0) for _ in range(2))
    few = replace(few, rewards=torch.cat([few.rewards, passed[:, None]], 1))
    return few, passed + other / 2, int(rng.choice(SIZES))


def _left(
    few: World, score: Tensor, watched: Tensor, size: int, normaliser: str, scale: bool = True
) -> Part:
    """E[(1/K) Σ r_k Â_k | kept] over prompts and groups, against the law over P(kept): (M,).

    P(kept) = 1 − E_x Σ_v P(watched = v | x)^K needs no group. Of GRPO's Â the law is what all
    groups show.
    """
    batches = all_batches(few, size)
    groups = group_by_prompt(batches.owner)
    chance = chance_kept(few, watched, size)
    kept = (groups.span(watched[batches.flat]) > 0).to(torch.float64)
    weight = batches.probability * _prompt_mass(few)[batches.prompt]
    shown = _shown(few, score, batches, groups, normaliser)
    total = float(weight @ kept)
    if total == 0:
        return NOTHING
    mass = few.log_prob_at().exp()
    law = within_prompt_covariance(few.rewards, score, few.prompt, mass, few.prompt_mass).estimate
    law = law if normaliser == "rloo" else weight @ shown
    size_of = few.rewards.abs().amax(0) * 4 * size**0.5
    error = rounding(size_of * (1 / total + 1 / total**2), 32 * (len(weight) + few.depth + 16))
    return (weight * kept) @ shown / total, law / (chance if scale else 1.0), error


def _shown(few: World, score: Tensor, batches: Batches, groups: Groups, normaliser: str) -> Tensor:
    """(1/K) Σ_k r_k Â_k of each group: (B, M)."""
    advantage = NORMALISERS[normaliser](score[batches.flat], groups)
    shown = groups.sum(few.rewards[batches.flat] * advantage[:, None])
    return shown / groups.counts[:, None]


def chance_kept(few: World, watched: Tensor, size: int) -> float:
    """P(a group of K is kept) = 1 − E_x Σ_v P(watched = v | x)^K, v its values."""
    mass, outer = few.log_prob_at().exp(), _prompt_mass(few)
    groups = group_by_prompt(few.prompt)
    shares = [groups.sum(mass * (watched == value)) for value in torch.unique(watched)]
    return float(outer @ (groups.sum(mass) ** size - sum(share**size for share in shares)))


def _prompt_mass(few: World) -> Tensor:
    count = len(torch.unique(few.prompt))
    even = torch.full((count,), 1 / count, dtype=torch.float64)
    return even if few.prompt_mass is None else few.prompt_mass


@cache
def proofs() -> list[Proof]:
    """Two completions a group, three arms, any policy: dropped groups show nothing."""
    from covlaw.theory.statements.surrogates._symbolic_surrogates import kept_pairs_residual

    return [Proof("K = 2, s two-valued on 3 arms: E[Ĉ·1_kept] − Cov = 0", kept_pairs_residual())]


STATEMENT = Statement(
    id="T53",
    title="Dynamic sampling on the score only rescales the law",
    kind="identity",
    explanation="Dynamic sampling draws new groups until none is left whose completions all have "
    "the same score, for such a group has advantage 0 everywhere. If the filter looks at the very "
    "score that is trained, the groups that stay show the covariance of every reward divided by "
    "one probability, that of being kept: all rewards move faster by one factor, no sign changes, "
    "and no weight between prompts either. The same holds after division by the group's std. A "
    "filter on one reward only, as the method is usually configured, is another matter (F16).",
    formula="E[(1/K) Σ_k r_k Â_k | s not constant in the group] = E_x Cov_x(r_j, s)/P(kept),"
    " P(kept) = 1 − E_x Σ_v P(s = v | x)^K",
    latex=r"\mathbb E\Big[\tfrac1K\sum_kr_k\hat A_k\,\Big|\,\text{kept}\Big]="
    r"\frac{\mathbb E_x\mathrm{Cov}_x(r_j,s)}{P(\text{kept})}",
    assumptions=(
        "completions i.i.d. given the prompt, prompts drawn anew",
        "advantage centred on the other completions (RLOO); with GRPO's std what all groups show",
    ),
    source="ours; the filter: Yu et al. 2025 (DAPO), arXiv:2503.14476",
    needs=World,
    sides=sides,
    control=NegativeControl("the filter looks at one reward of the score", one_reward_sides),
    nearer=(NegativeControl("the groups left show the law itself", unscaled_sides),),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)

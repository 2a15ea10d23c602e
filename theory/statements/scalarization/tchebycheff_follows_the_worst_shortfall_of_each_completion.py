"""E8: Tchebycheff trains, completion by completion, on whichever objective falls short most."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import covariance_matrix, within_prompt_covariance
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.statements.scalarization._length_penalty import penalty_part
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r_j, s) against its regimes; with one dominating objective; and the token-level form."""
    weights = torch.as_tensor(rng.dirichlet(np.ones(len(world.names))))
    score, ideal = _score(world, weights)
    shortfall = weights * (ideal - world.rewards)
    parts = [_compare(world, score, shortfall, _regimes(world, score, shortfall))]
    parts += [_dominated(world, weights, int(rng.integers(len(weights)))), penalty_part(rng)]
    return joined(parts)


def worst_on_average_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the signal is that of the objective that is worst on average."""
    weights = torch.as_tensor(rng.dirichlet(np.ones(len(world.names))))
    score, ideal = _score(world, weights)
    worst = int((weights * (ideal - world.value())).argmax())
    claimed = weights[worst] * _matrix(world)[:, worst]
    shortfall = weights * (ideal - world.rewards)
    return joined([_compare(world, score, shortfall, claimed)])


def within_regimes_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: covariances inside the regimes alone, without those of their means."""
    weights = torch.as_tensor(rng.dirichlet(np.ones(len(world.names))))
    score, ideal = _score(world, weights)
    shortfall = weights * (ideal - world.rewards)
    inside = _regimes(world, score, shortfall, between=0.0)
    return joined([_compare(world, score, shortfall, inside)])


def _dominated(world: World, weights: Tensor, first: int) -> Part:
    """Raise the ideal of one objective until it is worst for every completion."""
    weights = (weights + 0.1) / (1 + 0.1 * len(weights))
    top, size = world.rewards.amax(0), 1 + 2 * world.rewards.abs().max()
    ideal = top.clone()
    ideal[first] += 4 * size / weights[first]
    score, _ = _score(world, weights, ideal)
    claimed = weights[first] * _matrix(world)[:, first]
    return _compare(world, score, weights * (ideal - world.rewards), claimed)


def _score(world: World, weights: Tensor, ideal: Tensor | None = None) -> tuple[Tensor, Tensor]:
    fixed = None if ideal is None else ideal.tolist()
    scalarizer = make_scalarizer("tchebycheff", world.names, weights=weights.tolist(), ideal=fixed)
    state, signal = scalarizer.signal(scalarizer.init(), frozen_batch(world))
    return signal.score, state.ideal


def _compare(world: World, score: Tensor, shortfall: Tensor, predicted: Tensor) -> Part:
    mass = world.log_prob_at().exp()
    measured = within_prompt_covariance(
        world.rewards, score, world.prompt, mass, world.prompt_mass
    ).estimate
    size = shortfall.abs().max() + world.rewards.abs().max()  # z − r rounds on the scale of r
    count = len(world.names) + 1
    return measured, predicted, count * covariance_rounding(world, world.rewards, size[None])


def _regimes(world: World, score: Tensor, shortfall: Tensor, between: float = 1.0) -> Tensor:
    """Σ_i P_i[w_i·Cov(r_j, r_i|i) + (E_i r_j − E r_j)(E_i s − E s)], mean over prompts: (M,).

    The second summand `between` times.
    """
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    active, count = shortfall.argmax(1), shortfall.shape[1]
    cell = group_by_prompt(groups.position * count + active)
    share = cell.sum(mass)
    inside = torch.where(cell.spread(share) > 0, mass / cell.spread(share), 0.0)
    signal = -shortfall.gather(1, active[:, None])[:, 0]  # w_i(r_i − z_i) of the active objective
    gap = mass * cell.centre(signal, inside)
    within = cell.sum(gap[:, None] * cell.centre(world.rewards, inside))
    offset = cell.sum(inside[:, None] * groups.centre(world.rewards, mass))
    level = cell.sum(inside * groups.centre(score, mass))
    even = torch.full_like(groups.counts, 1, dtype=torch.float64) / len(groups.counts)
    outer = even if world.prompt_mass is None else world.prompt_mass
    return outer[cell.prompts // count] @ (within + between * (share * level)[:, None] * offset)


def _matrix(world: World) -> Tensor:
    mass = world.log_prob_at().exp()
    matrix: Tensor = covariance_matrix(world.rewards, world.prompt, mass, world.prompt_mass)
    return matrix


STATEMENT = Statement(
    id="E8",
    title="Tchebycheff follows the worst shortfall of each completion, not the worst on average",
    explanation="s = −max_i w_i(z_i − r_i) takes, for every completion, the objective that falls"
    " short most. So Cov(r_j, s) splits into regimes: inside one, the covariance with its active"
    " objective; between them, differences of means. If one objective is worst everywhere, the"
    " others' own variances count for nothing; the objective that is worst on average may still"
    " fall. Taken token by token, as the reference does under REINFORCE++, the maximum is a pure"
    " penalty on length.",
    kind="identity",
    formula="Cov(r_j, s) = Σ_i P_i[w_i Cov(r_j, r_i | i) + (E_i r_j − E r_j)(E_i s − E s)];"
    " one regime: w_i C_ji; token level, equal rewards: mean advantage (ū − (L−1)/2)/sd(u), u the"
    " number of tokens after a token",
    latex=r"\mathrm{Cov}(r_j,s)=\sum_iP_i\bigl[w_i\mathrm{Cov}(r_j,r_i|i)"
    r"+(\mathbb{E}_ir_j-\mathbb{E}r_j)(\mathbb{E}_is-\mathbb{E}s)\bigr]",
    assumptions=(
        "regime i: completions whose largest weighted shortfall is objective i's",
        "the length penalty: equal rewards, a positive ideal, returns whitened over all tokens",
    ),
    source="ours (law of total covariance), of the rule of Bowman 1976",
    needs=World,
    sides=sides,
    control=NegativeControl(
        "the signal of the objective that is worst on average", worst_on_average_sides
    ),
    nearer=(NegativeControl("inside the regimes alone", within_regimes_sides),),
    ensemble=Ensemble(conflict_worlds, 150),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)

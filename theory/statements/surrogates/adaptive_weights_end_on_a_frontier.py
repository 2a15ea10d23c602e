"""T56: tilts compose, so adaptive linear weights end where their sum says, on a frontier of KL.

π_T ∝ π e^{Λ·r}, Λ = Σ_t η_t λ_t; Λ·(J(π_Λ) − J(q)) = KL(π_Λ‖π) − KL(q‖π) + KL(q‖π_Λ) for any q.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.frontier import Frontier, frontier
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

Array = NDArray[np.float64]
STEPS = 4
"""Tilts of a run."""
REACH = 3.0
"""Λ·r spans at most this many nats within a prompt."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """A run of tilts against its frontier; any policy against it, by the identity."""
    path = _path(world, rng)
    return joined([_end(world, path, path.sum(0)), _rival(world, path.sum(0), rng)])


def mean_weights(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the plain mean of the weights decides, at the whole strength."""
    path = _path(world, rng)
    share = path / path.sum(1, keepdims=True)
    return joined([_end(world, path, path.sum() * share.mean(0))])


def without_the_gap(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the advantage over a rival is the difference of the KLs alone."""
    return joined([_rival(world, _path(world, rng).sum(0), rng, gap=0.0)])


def _path(world: World, rng: np.random.Generator) -> Array:
    """η_t λ_t ≥ 0 of each step, (T, M): random, as weights that adapt come out."""
    objectives = world.rewards.shape[1]
    path = rng.exponential(size=(STEPS, objectives)) * 4.0 ** rng.uniform(-1, 1, (STEPS, 1))
    width = np.ptp(world.rewards.numpy(), axis=0) @ path.sum(0)
    return path * REACH * rng.uniform(0.2, 1) / (width if width > 0 else 1.0)


def _end(world: World, path: Array, total: Array) -> Part:
    """J after the steps one by one, and the KL of the end, against the frontier at `total`."""
    found = _frontier(world, total)
    log_prob = world.log_prob_at()
    for step in torch.as_tensor(path):
        mass = log_prob.exp()
        log_prob = log_prob + tilt_log_ratio(world.rewards @ step, 1.0, world.prompt, mass)
    ratio = torch.where(torch.isfinite(log_prob), log_prob - world.log_prob_at(), 0.0)
    weight = world.row_weight(log_prob.exp())
    measured = torch.cat([weight @ world.rewards, (weight @ ratio)[None]])
    predicted = torch.cat([found.values[0], found.kl])
    size = torch.cat([world.rewards.abs().amax(0), ratio.abs().amax()[None] + 1])
    return measured, predicted, _error(world, size, path)


def _rival(world: World, total: Array, rng: np.random.Generator, gap: float = 1.0) -> Part:
    """Λ·(J(π_Λ) − J(q)) − KL(π_Λ) + KL(q) against KL(q‖π_Λ), for the start and a random q."""
    found, direction = _frontier(world, total), torch.as_tensor(total)
    base, score = world.log_prob_at(), world.rewards @ direction
    tilted = tilt_log_ratio(score, 1.0, world.prompt, base.exp())
    noise = torch.as_tensor(rng.normal(size=len(base)))
    rivals = [torch.zeros_like(base), tilt_log_ratio(noise, 1.0, world.prompt, base.exp())]
    measured, predicted = [], []
    for own in rivals:
        weight = world.row_weight((base + own).exp())
        lead = direction @ found.values[0] - weight @ score
        measured.append(lead - found.kl[0] + weight @ own)
        predicted.append(gap * (weight @ (own - tilted)))
    size = score.abs().max() + tilted.abs().max() + noise.abs().max() * 2 + 1
    return torch.stack(measured), torch.stack(predicted), _error(world, size.repeat(2), total)


def _frontier(world: World, total: Array) -> Frontier:
    mass = world.log_prob_at().exp()
    direction = torch.as_tensor(total)
    return frontier(world.rewards, world.prompt, direction, [1.0], mass, world.prompt_mass)


def _error(world: World, size: Tensor, path: Array) -> Tensor:
    """Probabilities sum to 1 up to the depth of a log-prob; each tilt adds its exponent's size."""
    exponent = float(world.rewards.abs().max()) * float(np.abs(path).sum())
    rows = len(world.prompt) + world.depth + 16
    log_size = float(world.log_prob_at().abs().max())
    return rounding(size, int(8 * (STEPS + 2) * (rows + 8 * exponent + log_size)))


STATEMENT = Statement(
    id="T56",
    title="Adaptive linear weights end on a frontier: the sum of all steps' weights decides",
    kind="identity",
    explanation="A natural-gradient step along a weighted sum of rewards tilts the policy, and "
    "tilts add up in the exponent. Whatever rule adapted the weights, and in whatever order, a run "
    "of such steps ends at the tilt by Λ, the sum of all steps' weights times their step sizes. "
    "That policy has more Λ·J than any other of no more KL from the start (the identity with q), "
    "so the rewards cannot all fall, and which of them fall is a property of the start and Λ. "
    "Samples of the start show it before a step is made.",
    formula="π_T ∝ π e^{Λ·r}, Λ = Σ_t η_t λ_t; any q: Λ·(J(π_Λ) − J(q)) = KL(π_Λ‖π) − KL(q‖π)"
    " + KL(q‖π_Λ)",
    latex=r"\pi_T\propto\pi e^{\Lambda\cdot r},\;\Lambda=\textstyle\sum_t\eta_t\lambda_t;\quad"
    r"\Lambda\cdot(J(\pi_\Lambda)-J(q))=\mathrm{KL}(\pi_\Lambda\|\pi)-\mathrm{KL}(q\|\pi)"
    r"+\mathrm{KL}(q\|\pi_\Lambda)",
    assumptions=("each step tilts along a linear signal", "one set of weights for all prompts"),
    source="ours; the identity: Gibbs' variational principle",
    needs=World,
    sides=sides,
    control=NegativeControl("the plain mean of the weights, at the whole strength", mean_weights),
    nearer=(NegativeControl("the identity without KL(q‖π_Λ)", without_the_gap),),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
)

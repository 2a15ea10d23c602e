"""T12: a natural gradient sees only the part of the score that the parameters can express.

⟨g_j, F⁺g_s⟩ = Cbar(A_j, ΠA_s) = Cbar(ΠA_j, ΠA_s), Π the L2(π)-projection on the span of the
scores; for a full tabular softmax that is Cbar(r_j, s).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.natural_gradient import dense_natural_gradient
from covlaw.theory.geometry.policy_gradient import advantages, centred_score, value_gradients
from covlaw.theory.statements._support.gradient_rounding import (
    gradient_roundings,
    is_dense,
    largest_score_norm,
)
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.restricted_worlds import in_subspace
from covlaw.theory.statements.base import NOTHING, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.world import World


def natural_alignment(world: World, score: Tensor) -> Tensor:
    """⟨g_j, F⁺g_s⟩: (M,), g_j by autograd through the enumerated values, F⁺g_s by least squares."""
    step = dense_natural_gradient(world, centred_score(world, score))
    return value_gradients(world, world.rewards) @ step


def sides(world: World, rng: np.random.Generator) -> Sides:
    """In a random subspace of the parameters, and in all of them where the Jacobian is small."""
    score = random_score(world, rng)
    worlds = [in_subspace(world, rng, int(rng.integers(1, 5)))]
    worlds += [world] if is_dense(world) else []
    size = largest_score_norm(world)
    parts = [_projection_sides(w, score, size) for w in worlds]
    return joined(parts)


def covariance_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: ⟨g_j, F⁺g_s⟩ = Cov(r_j, s) although one direction cannot span A_s."""
    score, line = random_score(world, rng), in_subspace(world, rng, 1)
    found = _projection_sides(line, score, largest_score_norm(world))
    measured, _, error = (side[: len(world.names)] for side in found)
    return Sides(measured, _covariance(world, score)[: len(measured)], error)


def unweighted_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: Π by plain least squares, every completion counting alike."""
    score, line = random_score(world, rng), in_subspace(world, rng, int(rng.integers(1, 5)))
    found = _projection_sides(line, score, largest_score_norm(world))
    if not found[0].numel():
        return joined([found])
    basis = torch.linalg.qr(line.scores())[0]
    projected = basis @ (basis.T @ centred_score(line, score))
    forecast = (line.row_weight() * projected) @ advantages(line)
    measured, _, error = (side[: len(world.names)] for side in found)
    return Sides(measured, forecast, error)


def _projection_sides(world: World, score: Tensor, size: float) -> Part:
    """Compare in one world; `size` is the largest score norm of the whole parameter space.

    In a subspace ∇log π can be a small difference of features, whose rounding does not shrink.
    """
    root, span = world.row_weight().sqrt(), score_span(world)
    if span is None:  # a singular value at the edge of rounding: the rank is not decided
        return NOTHING
    target, rewards = root * centred_score(world, score), root[:, None] * advantages(world)
    projected = span.basis.T @ target
    forecasts = [rewards.T @ (span.basis @ projected), (span.basis.T @ rewards).T @ projected]
    forecasts += [_covariance(world, score)] if world.tabular else []
    scale = world.rewards.abs().amax(0) * score.abs().max()
    error = rounding(
        scale * max(size, largest_score_norm(world)) / span.smallest, gradient_roundings(world)
    )
    measured = natural_alignment(world, score)
    return measured.repeat(len(forecasts)), torch.cat(forecasts), error.repeat(len(forecasts))


def _covariance(world: World, score: Tensor) -> Tensor:
    mass = world.log_prob_at().exp()
    return within_prompt_covariance(
        world.rewards, score, world.prompt, mass, world.prompt_mass
    ).estimate


_EDGE = 100.0


class ScoreSpan(NamedTuple):
    """Orthonormal basis of the √(D·π)-weighted scores, and its smallest singular value."""

    basis: Tensor
    """(N, rank)."""
    smallest: float


def score_span(world: World) -> ScoreSpan | None:
    """Basis of the retained singular vectors; None where the rank is not decided in float64.

    The cut-off is max(N, D)·2⁻⁵²·σ_max, as in the least squares under test. A singular value
    within a factor 100 of it may be kept by one and dropped by the other.
    """
    weighted = world.row_weight().sqrt()[:, None] * world.scores()
    left, values, _ = torch.linalg.svd(weighted, full_matrices=False)
    cut = max(weighted.shape) * torch.finfo(torch.float64).eps * values[0]
    kept = values > cut
    undecided = (values > cut / _EDGE) & (values < cut * _EDGE)
    if bool(undecided.any()) or not bool(kept.any()):
        return None
    return ScoreSpan(left[:, kept], float(values[kept].min()))


STATEMENT = Statement(
    id="T12",
    title="A natural gradient follows the covariance with the expressible part of the score",
    explanation="A natural gradient measures steps by how much they change the policy (through"
    " the Fisher matrix F) and not the parameters. It follows the covariance law"
    " exactly, but only for the part of the training advantage A_s that the model's"
    " parameters can express at all; Π takes that part. With one free parameter a"
    " completion nothing is lost, while a model with few directions can move an"
    " objective the other way (F2).",
    kind="identity",
    formula="⟨g_j, F⁺g_s⟩ = Cbar(A_j, ΠA_s) = Cbar(ΠA_j, ΠA_s), Π the L2(π)-projection on the"
    " span of ∇log π; = Cbar(r_j, s) for a full tabular softmax",
    latex=r"\langle g_j, F^{+} g_s\rangle = \overline{\mathrm{Cov}}(A_j, \Pi A_s)"
    r" = \overline{\mathrm{Cov}}(\Pi A_j, \Pi A_s)",
    assumptions=("π_θ differentiable", "rank of the scores decided in float64"),
    source="known (compatible function approximation: Kakade 2001)",
    needs=World,
    sides=sides,
    control=NegativeControl("the covariance itself, where one direction is free", covariance_sides),
    nearer=(NegativeControl("Π without the weights π", unweighted_sides),),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
)

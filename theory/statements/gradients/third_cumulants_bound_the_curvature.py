"""T14: an expected reward is smooth with the third-cumulant constant; that certifies steps.

|∇²J_j| ≤ (√3/18)·E_x[R_x diam_x(Φ)²] for a log-linear softmax, (√3/9)·max_x D(x)R_x for one free
logit a completion; so J_j moves as ⟨g_j, g_s⟩ says for steps below 2|⟨g_j, g_s⟩|/(L_j|g_s|²).
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.func import jacrev

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.geometry.smoothness import log_linear_smoothness, step_limit, tabular_smoothness
from covlaw.theory.statements._support.gradient_rounding import alignment_rounding
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.gradients._log_linear import extremal_pair, log_linear
from covlaw.theory.worlds.world import World

FRACTIONS = (0.1, 0.9, 0.999)
"""Of the certified step: where the sign is tried."""

LARGEST = 64
"""Completions; worlds of more are looked at given that the completion is one of six."""

SHRUNK = 0.99
"""The control's constant, relative to the true one."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Spectral norms of exact Hessians against L; certified steps gone wrong against 0.

    On the world's completions, with random features or one free logit each, away from θ = 0; and
    on the two completions for which the constant is attained.
    """
    few = world if len(world.prompt) <= LARGEST else on_few_completions(world, rng)
    policy, smoothness = _features(few, rng) if rng.integers(2) else _free_logits(few)
    theta = torch.as_tensor(rng.normal(scale=10 ** rng.uniform(-1, 0.3), size=len(policy.theta)))
    steps = _steps(policy, random_score(few, rng), smoothness)
    return joined([_curvature(policy, theta, smoothness), steps, _extremal()])


def _features(few: World, rng: np.random.Generator) -> tuple[World, Tensor]:
    features = torch.as_tensor(rng.normal(size=(len(few.prompt), int(rng.integers(1, 4)))))
    smoothness = log_linear_smoothness(few.rewards, features, few.prompt, few.prompt_mass)
    return log_linear(few, features), smoothness


def _free_logits(few: World) -> tuple[World, Tensor]:
    smoothness = tabular_smoothness(few.rewards, few.prompt, few.prompt_mass)
    return log_linear(few, torch.eye(len(few.prompt)).double()), smoothness


def shrunk_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a constant 1 % smaller, where it is attained."""
    measured, bound, error = _extremal()
    return Sides(measured, SHRUNK * bound, error)


@cache
def _extremal() -> Part:
    pair = extremal_pair()
    return _curvature(pair, pair.theta, tabular_smoothness(pair.rewards, pair.prompt))


def _curvature(world: World, theta: Tensor, smoothness: Tensor) -> Part:
    """Largest |eigenvalue| of ∇²J_j by automatic differentiation of the enumerated value: (M,)."""

    def values(at: Tensor) -> Tensor:
        return world.row_weight(world.log_prob(at).exp()) @ world.rewards

    norms = torch.linalg.eigvalsh(jacrev(jacrev(values))(theta)).abs().amax(-1)
    steepest = 2 * world.scores().norm(dim=1).max()  # |φ − E φ| at any θ is no larger
    size = world.rewards.abs().amax(0) * steepest.square()
    return norms, smoothness, rounding(size, 32 * (world.depth + len(world.prompt)))


def _steps(world: World, score: Tensor, smoothness: Tensor) -> Part:
    """−ΔJ_j·sign⟨g_j, g_s⟩ after η·g_s, at fractions of the certified η."""
    gradients = value_gradients(world, torch.cat([world.rewards, score[:, None]], 1))
    alignment, slope = gradients[:-1] @ gradients[-1], gradients[-1]
    doubt = alignment_rounding(world, score)
    limit = step_limit(alignment, slope, smoothness)
    listed = ((alignment.abs() > doubt) & torch.isfinite(limit)).nonzero()[:, 0].tolist()
    rows = [(j, fraction * limit[j]) for j in listed for fraction in FRACTIONS]
    against = [-_change(world, j, eta * slope) * alignment[j].sign() for j, eta in rows]
    allowed = [_value_rounding(world)[j] + 2 * eta * doubt[j] for j, eta in rows]
    measured = torch.stack(against) if rows else torch.empty(0, dtype=torch.float64)
    error = torch.stack(allowed) if rows else torch.empty(0, dtype=torch.float64)
    return measured, torch.zeros_like(measured), error


def _change(world: World, column: int, step: Tensor) -> Tensor:
    return (world.value(world.theta + step) - world.value())[column]


def _value_rounding(world: World) -> Tensor:
    """A step moves a logit by 2|g_j|diam/L_j < 20 at most; J_j errs as in `change_rounding`."""
    operations = 8 * (len(world.prompt) + world.depth + 16 + 20)
    return rounding(world.rewards.abs().amax(0), operations)


STATEMENT = Statement(
    id="T14",
    title="Expected rewards are smooth with the third-cumulant constant, which certifies steps",
    explanation="How far may one follow a plain policy gradient before its forecast of a sign"
    " breaks? That depends on how strongly the expected reward J_j curves in the parameters. For a"
    " softmax policy on features φ the curvature is at most √3/18 times the reward's range R times"
    " the squared diameter of the features; with one free logit a completion that is √3/9·R, the"
    " least possible and 13 times below the usual 5/2. A training run may take steps that much"
    " larger and still be certain that an objective moves the way its gradient's inner product"
    " with the training gradient says.",
    kind="bound",
    formula="|∇²J_j| ≤ L_j = (√3/18) E_x[R_x diam_x(Φ)²]; tabular: (√3/9) max_x D(x) R_x;"
    " sign ΔJ_j = sign ⟨g_j, g_s⟩ for 0 < η < 2|⟨g_j, g_s⟩| / (L_j |g_s|²)",
    latex=r"\|\nabla^2J_j\|\le L_j=\tfrac{\sqrt3}{18}\,\mathbb{E}_x[R_x\,\mathrm{diam}_x(\Phi)^2],"
    r"\quad 0<\eta<\frac{2|\langle g_j,g_s\rangle|}{L_j|g_s|^2}\Rightarrow"
    r"\mathrm{sign}\,\Delta J_j=\mathrm{sign}\langle g_j,g_s\rangle",
    assumptions=(
        "log-linear softmax π_θ ∝ π_0 e^{φ·θ}, or one free logit a completion",
        "exact gradient ascent θ + η g_s",
    ),
    source="ours (constant from T4; Mei et al. 2020, Lemma 2, has 5/2 for the tabular softmax)",
    needs=World,
    sides=sides,
    control=NegativeControl("a constant 1 % smaller", shrunk_sides),
    not_applicable={"llm": "an LLM's logits are not linear in its parameters"},
)

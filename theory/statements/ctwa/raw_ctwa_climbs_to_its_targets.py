"""T33: with raw advantages and small steps CTWA climbs f = c·λ − ½λ'Cλ and reaches its targets.

Σλ_t ≤ B = (c_max + √(c_max² − 2v*f(λ_0)))/v* once η·λ_max(C)·B·e^{ηD} ≤ 1.
"""

from functools import cache
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_bounds import raw_potential, raw_step_limit, raw_weight_bound
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ControllerState, ctwa_path
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.ctwa._climbing import (
    Ceiling,
    Climb,
    climb_sides,
    gain_part,
    kept,
)
from covlaw.theory.statements.ctwa._problems import (
    as_problems,
    correlations,
    draw_problems,
    drawn_targets,
    one_prompt,
)
from covlaw.theory.worlds.world import World

STEPS = 40
EXAMPLE = [[1.0, -0.9], [-0.9, 1.0]]
EXAMPLE_TARGETS = (0.5, 0.4)
"""Feasible; yet η = 1 diverges from λ_0 = (1, 1)."""


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """Gains of f, B and the shortfall, at the largest step the condition allows; B attained."""
    climb = raw_climb(*_largest_step(instance, rng), STEPS)
    return joined([climb[:3], _outermost(instance)])


def outermost_sides(instance: PromptCovariances | World, _: np.random.Generator) -> Sides:
    """Σλ_0 against B where both are equal."""
    return joined([_outermost(instance)])


def full_gain_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: f gains all that its slope promises, without the ½."""
    return joined([gain_part(raw_path(*_largest_step(instance, rng), STEPS), 1.0)])


def _outermost(instance: PromptCovariances | World) -> Part:
    """Σλ_0 and B at λ_0 = 3λ*, the min-norm weights, and targets c_j = v*, which give B = 3: (B,).

    f(λ_0) = 3v* − 9v*/2, so that √(c² − 2v*f) = 2v*.
    """
    within = feasible(as_problems(instance)).within()
    found = min_norm_point(within)
    targets = found.value[:, None].expand_as(found.weights)
    bound = raw_weight_bound(within, targets, 3 * found.weights)
    error = _relative_error(within, found.value) * bound
    return 3 * found.weights.sum(-1), bound, error


def _largest_step(
    instance: PromptCovariances | World, rng: np.random.Generator
) -> tuple[PromptCovariances, Tensor, Tensor, Tensor]:
    """Problems, targets, log-weights at the start, and the largest step the condition allows."""
    problems = feasible(as_problems(instance))
    within = problems.within()
    scale = within.diagonal(dim1=-2, dim2=-1)
    targets = drawn_targets(rng, scale)
    start = torch.as_tensor(rng.normal(size=tuple(scale.shape))) - 1.0
    return problems, targets, start, raw_step_limit(within, targets, start.exp())


def big_step_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: the same without the step condition, η = 1 on THEORY's example."""
    del instance, rng
    zero = torch.zeros(1, 2, dtype=torch.float64)
    targets = torch.tensor([EXAMPLE_TARGETS], dtype=torch.float64)
    return raw_climb(one_prompt(EXAMPLE), targets, zero, torch.ones(1, dtype=torch.float64), 8)


def feasible(problems: PromptCovariances) -> PromptCovariances:
    """Those whose min-norm value is positive beyond rounding."""
    matrix, _, noise = correlations(problems)
    return kept(problems, min_norm_point(matrix).value > noise)


def raw_climb(
    problems: PromptCovariances, targets: Tensor, start: Tensor, step: Tensor, steps: int
) -> Sides:
    """Compare a path of `steps` steps with every claim of T33."""
    within = problems.within()
    bound = raw_weight_bound(within, targets, start.exp())
    least = min_norm_point(within).value
    error = _relative_error(within, least)
    highest = targets.amax(-1).square() / (2 * least)
    climb = raw_path(problems, targets, start, step, steps)
    return joined(climb_sides(climb, Ceiling(bound, highest, error)))


def _relative_error(within: Tensor, least: Tensor) -> Tensor:
    """Share by which rounding may move 1/v*: (B,)."""
    largest = within.diagonal(dim1=-2, dim2=-1).amax(-1)
    return 2 * rounding(largest / least, 16 * within.shape[-1] + 64)


def raw_path(
    problems: PromptCovariances, targets: Tensor, start: Tensor, step: Tensor, steps: int
) -> Climb:
    """A path of `steps` steps under the raw advantage."""
    within = problems.within()
    path = ctwa_path(problems, targets, start, Controller("raw", step))
    states = list(islice(path, steps + 1))
    weights = torch.stack([s.log_weights.exp() for s in states])
    size = _term_size(within, targets, weights)
    return Climb(
        potential=torch.stack([raw_potential(within, targets, w) for w in weights]),
        rounding=rounding(size, 8 * targets.shape[-1] + 32),
        weights=weights,
        deficit=_deficits(states, targets),
        step=step,
    )


def _deficits(states: list[ControllerState], targets: Tensor) -> Tensor:
    return torch.stack([torch.relu(targets - s.signal) for s in states])


def _term_size(within: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Σ|terms| of f: (T, B)."""
    deviation = within.diagonal(dim1=-2, dim2=-1).sqrt()
    return (targets * weights).sum(-1) + (deviation * weights).sum(-1).square()


@cache
def proofs() -> list[Proof]:
    """The identity behind the ascent, for M = 2 and 3."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    claim = "f(λ+δ) − f(λ) = Σ δ_j d_j − ½δ'Cδ, d = c − Cλ"
    return [Proof(f"M = {m}: {claim}", symbolic.ascent_residual(m)) for m in (2, 3)]


STATEMENT = Statement(
    id="T33",
    title="With raw advantages and small steps CTWA reaches its targets with bounded weights",
    kind="bound",
    formula="f(λ) = c·λ − ½λ'Cλ gains at least ½η Σ λ_j relu(c_j − y_j)² a step;"
    " Σλ_t ≤ B = (c_max + √(c_max² − 2v* f(λ_0)))/v*;"
    " min_t Σ_j λ_j relu(c_j − y_j)² ≤ 2(c_max²/(2v*) − f(λ_0))/(ηT)",
    latex=r"\|\lambda_t\|_1 \le \frac{c_{\max}+\sqrt{c_{\max}^2-2v^*f(\lambda_0)}}{v^*},\quad"
    r"\lambda_t\to\lambda_\infty,\ C\lambda_\infty\ge c",
    assumptions=(
        "C frozen, y = Cλ exact, no running mean",
        "v* = min over the simplex of λ'Cλ > 0",
        "η λ_max(C) B e^{ηD} ≤ 1, D = c_max + B max(−C_jk)_+",
    ),
    source="ours",
    explanation="CTWA multiplies the weight of every objective whose covariance y_j is below its "
    "target c_j, and never lowers a weight. With advantages that are centred only, this climbs a "
    "concave function, so weights stay bounded and every covariance ends at or above its target, "
    "approached from below: ask for a little more than you need. With large steps the ratchet "
    "overshoots and diverges although the targets are feasible.",
    needs=World,
    sides=sides,
    control=NegativeControl("any step will do: η = 1, C = [[1, −.9], [−.9, 1]]", big_step_sides),
    nearer=(
        NegativeControl("f gains η Σ λ_j d_j², without the ½", full_gain_sides),
        one_percent_less(outermost_sides, "where it is attained, B"),
    ),
    ensemble=Ensemble(draw_problems, 140),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)

"""T34: if a bundle of objectives is constant, its targets drive the log-weights up for ever.

Cμ = 0, μ ≥ 0: μ·u grows by at least η c·μ in every step, whatever the weights.
"""

from itertools import islice, pairwise

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF, rounding
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ctwa_path
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.ctwa._problems import (
    as_problems,
    combined,
    draw_problems,
    drawn_targets,
)
from covlaw.theory.worlds.world import World

STEPS = 30


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """η c·μ under the growth of μ·u, with the constant bundle μ that the problem was given."""
    problems, bundle, size = with_constant_bundle(as_problems(instance), rng)
    return _growth(problems, bundle[None], size, rng)


def single_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: any objective with a target grows so, i.e. μ a unit vector, Cμ ≠ 0."""
    problems, bundle, size = with_constant_bundle(as_problems(instance), rng)
    return _growth(problems, torch.eye(len(bundle), dtype=torch.float64), size, rng)


def with_constant_bundle(
    problems: PromptCovariances, rng: np.random.Generator
) -> tuple[PromptCovariances, Tensor, Tensor]:
    """Add r_{M+1} = −Σ w_j r_j: then μ = (w, 1) is constant. Also Σ|terms| of each new reward."""
    count = problems.matrices.shape[-1]
    share = torch.as_tensor(10 ** rng.uniform(-0.5, 0.5, size=count))
    maps = torch.cat([torch.eye(count, dtype=torch.float64), -share[None]])
    deviation = problems.within().diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    new = combined(problems, maps[None])
    return new, torch.cat([share, share.new_ones(1)]), deviation @ maps.abs().T


def _growth(
    problems: PromptCovariances, bundles: Tensor, size: Tensor, rng: np.random.Generator
) -> Sides:
    unit = torch.where(size > 0, size, 1.0)
    targets = drawn_targets(rng, unit.square())
    # u rises by at most some 10 in all, so that the rounding of Cλ stays below the targets
    step = 10 / STEPS / targets.amax(-1)
    start = -unit.log()  # rewards of any scale start with equal shares
    controller = Controller("raw", step, ema=float(rng.choice([1.0, 0.3])))
    states = list(islice(ctwa_path(problems, targets, start, controller), STEPS + 1))
    count = size.shape[-1]
    parts = []
    length = torch.zeros_like(size[:, :1])  # the running mean remembers the largest weights
    for old, new in pairwise(states):
        growth = (new.log_weights - old.log_weights) @ bundles.T
        length = torch.maximum(length, (old.log_weights.exp() * size).sum(-1, keepdim=True))
        error = step[:, None] * rounding(length * size, 8 * count + 32)
        error = error + new.log_weights.abs() * 4 * UNIT_ROUNDOFF
        floor, allowed = step[:, None] * (targets @ bundles.T), error @ bundles.T
        exact = allowed < floor  # beyond, the weights are so large that Cλ is rounding
        parts.append((floor[exact], growth[exact], allowed[exact]))
    return joined(parts)


STATEMENT = Statement(
    id="T34",
    title="Targets on a constant bundle of objectives drive CTWA's weights up for ever",
    kind="bound",
    formula="Cμ = 0, μ ≥ 0, c·μ > 0: μ·u_{t+1} − μ·u_t ≥ η c·μ for every t",
    latex=r"C\mu=0,\ \mu\ge0:\quad \mu\cdot u_{t+1}-\mu\cdot u_t \ge \eta\,c\cdot\mu",
    assumptions=(
        "C frozen, y = Cλ exact, any start and step",
        "with or without a running mean of y that starts at y_0",
    ),
    source="ours",
    explanation="If some bundle of objectives is constant within every prompt, no weights raise "
    "all its members (T30), but CTWA does not know: it keeps raising the log-weights u of the "
    "bundle, on average by the step times the bundle's target in every update. The weights grow "
    "exponentially; such growth in a run is the sign to lower the targets.",
    needs=World,
    sides=sides,
    control=NegativeControl("every single objective's weight grows so", single_sides),
    nearer=(one_percent_less(sides, "the pace η c·μ allowed to be"),),
    ensemble=Ensemble(draw_problems, 210),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
)

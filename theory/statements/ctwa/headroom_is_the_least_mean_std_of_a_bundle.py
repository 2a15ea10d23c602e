"""T36: targets can grow by t* = min{E_x sd_x(μ·r): c·μ = 1, μ ≥ 0}, and the minimiser attains it.

y(μ*) ≥ t*c, with equality on the support. Raw analogue: minimise λ'Cλ.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import grpo_signal
from covlaw.theory.estimators.headroom import headroom, raw_headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
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
from covlaw.theory.statements.ctwa._bundles_and_weights import (
    attained,
    full_rank,
    near_optimum,
    target_scale,
)
from covlaw.theory.statements.ctwa._problems import as_problems, draw_problems, drawn_targets
from covlaw.theory.statements.ctwa._std_rounding import (
    gradient_error,
    mean_std_error,
    signal_error,
)
from covlaw.theory.worlds.world import World


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """y(μ*) over t*c, slack times weight under 0, and two independent routes for one prompt."""
    problems = full_rank(as_problems(instance))
    targets = drawn_targets(rng, target_scale(problems))
    return joined([*_optimality(problems, targets), *_one_prompt(problems, targets)])


def proportional_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: weights in proportion to the targets attain t*."""
    problems = full_rank(as_problems(instance))
    targets = drawn_targets(rng, target_scale(problems))
    found = headroom(problems, targets)
    reach = attained(problems, targets, targets[None])
    error = reach.error[0] + near_optimum(problems, targets, found)
    return Sides(found.lower, reach.value[0], error)


def optimality_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """What is claimed of several prompts alone."""
    problems = full_rank(as_problems(instance))
    return joined(_optimality(problems, drawn_targets(rng, target_scale(problems))))


def _optimality(problems: PromptCovariances, targets: Tensor) -> list[Part]:
    """The optimality conditions at μ*, to its certified gap."""
    found = headroom(problems, targets)
    bundle, signal = found.bundle, grpo_signal(problems, found.bundle)
    gap = (found.factor - found.lower).clamp(min=0.0) + mean_std_error(problems, bundle)
    error = signal_error(problems, bundle) + gradient_error(problems, bundle, gap)
    floor = found.lower[:, None] * targets
    # Σ_j μ_j(y_j − t*c_j) = g(μ*) − t* = 0, so no term exceeds what the others fall short by
    excess = bundle * (signal - found.factor[:, None] * targets)
    allowed = (bundle * error).sum(-1, keepdim=True).expand_as(excess)
    zero = torch.zeros_like(excess)
    return [
        (floor.flatten(), signal.flatten(), error.flatten()),
        (excess.flatten(), zero.flatten(), allowed.flatten()),
    ]


def _one_prompt(problems: PromptCovariances, targets: Tensor) -> list[Part]:
    """Pool the prompts into one: t*² is then a min-norm value, and the raw analogue holds."""
    pooled = problems.pooled()
    within = pooled.matrices[:, 0]
    found, raw = headroom(pooled, targets), raw_headroom(within, targets)
    gain = (within @ raw.bundle[..., None])[..., 0]
    ratio = within.diagonal(dim1=-2, dim2=-1).sqrt() / targets
    length = (raw.bundle * targets * ratio).sum(-1)
    noise = rounding(1.0, 16 * targets.shape[-1] + 64)
    error = noise * length[:, None] * (length[:, None] + ratio) * targets
    factor = raw.factor.clamp(min=0.0).sqrt()
    # the root of a value that errs by γs² errs by no more than √γ·s
    room = noise * length.square() / torch.maximum(factor, noise.sqrt() * length)
    room = room + mean_std_error(pooled, found.bundle)
    return [
        ((raw.factor[:, None] * targets).flatten(), gain.flatten(), error.flatten()),
        (found.lower, factor, room),
        (factor, found.factor, room),
    ]


@cache
def proofs() -> list[Proof]:
    """λ·y(λ) = g(λ): so Σ μ_j(y_j − t*c_j) = 0 at the minimiser, for M = 2 and 3."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    return [Proof(f"M = {m}: λ·∇g = g", symbolic.homogeneity_residual(m)) for m in (2, 3)]


STATEMENT = Statement(
    id="T36",
    title="The headroom of targets is the least mean std of a bundle, and that bundle attains it",
    kind="bound",
    formula="t* = min{g(μ): c·μ = 1, μ ≥ 0}, g(μ) = E_x sd_x(μ·r); y(μ*) ≥ t*c, equality where"
    " μ*_j > 0; raw: λ* = argmin{λ'Cλ: c·λ = 1, λ ≥ 0} has Cλ* ≥ (λ*'Cλ*)c",
    latex=r"t^*=\min\{\mathbb{E}_x\,\mathrm{sd}_x(\mu\cdot r):\ c\cdot\mu=1,\ \mu\ge0\},\quad "
    r"y(\mu^*)\ge t^*c",
    assumptions=(
        "advantage = centred score over the std of its prompt (GRPO), 0/0 := 0",
        "every prompt of positive mass: C_x = 0, or min over the simplex of μ'C_xμ > 0",
        "c ≥ 0, c ≠ 0",
    ),
    source="ours (duality of T35)",
    explanation="t* says by what factor all targets could grow before they become unreachable; "
    "below 1 they already are. It is a convex programme in the rewards of the rollouts alone, and "
    "its solution names the bundle of objectives that is asked too much. The same bundle, used as "
    "weights, attains t* at once, without waiting for a controller to find it.",
    needs=World,
    sides=sides,
    control=NegativeControl("weights in proportion to the targets attain t*", proportional_sides),
    nearer=(one_percent_less(optimality_sides, "y(μ*), and so what t* promises,"),),
    ensemble=Ensemble(draw_problems, 140),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)

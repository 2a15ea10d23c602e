"""T35: std-normalised targets are reachable iff no bundle of objectives asks more than its std.

∃λ ≥ 0: y(λ) ≥ c ⇔ c·μ ≤ E_x sd_x(μ·r) for all μ ≥ 0, where y(λ) = E_x C_xλ/sd_x(λ·r).
"""

from functools import cache

import numpy as np
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import Ensemble, NegativeControl, Proof, Sides, Statement, joined
from covlaw.theory.statements.ctwa._bundles_and_weights import (
    attained,
    both_directions,
    full_rank,
    target_scale,
)
from covlaw.theory.statements.ctwa._problems import (
    COUNTEREXAMPLE_TARGETS,
    as_problems,
    counterexample,
    draw_problems,
    drawn_targets,
)
from covlaw.theory.worlds.world import World


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """Largest multiple of c that weights attain, against the smallest that a bundle allows."""
    problems = full_rank(as_problems(instance))
    return joined(both_directions(problems, drawn_targets(rng, target_scale(problems)), rng))


def any_rank_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: whatever the ranks. Two prompts, C_1 = [[1, −1], [−1, 1]], C_2 = I."""
    del instance, rng
    return _counterexample_sides()


@cache
def _counterexample_sides() -> Sides:
    """t* against the most that weights attain, √½ at λ_1 = λ_2.

    Elsewhere the first prompt takes ½ from the smaller weight's objective, to which the second
    gives less than ½. There C_1λ is exactly 0, so that no prompt's share is in doubt.
    """
    targets = torch.tensor([COUNTEREXAMPLE_TARGETS], dtype=torch.float64)
    most = attained(counterexample(), targets, torch.ones_like(targets)).value
    return Sides(headroom(counterexample(), targets).lower, most, rounding(most, 64))


@cache
def proofs() -> list[Proof]:
    """y is the gradient of g, and g has degree 1, for M = 2 and 3."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    return [
        proof
        for m in (2, 3)
        for proof in (
            Proof(f"M = {m}: ∇√(λ'Cλ) = Cλ/√(λ'Cλ)", symbolic.gradient_residual(m)),
            Proof(f"M = {m}: λ·∇g = g", symbolic.homogeneity_residual(m)),
        )
    ]


STATEMENT = Statement(
    id="T35",
    title="Std-normalised targets are reachable exactly if no bundle of them exceeds its std",
    kind="bound",
    formula="∃λ ≥ 0: y(λ) ≥ c ⇔ c·μ ≤ g(μ) = E_x sd_x(μ·r) for all μ ≥ 0; equivalently"
    " max_λ min_j y_j(λ)/c_j = min_μ g(μ)/(c·μ), y(λ) = E_x C_xλ/sd_x(λ·r)",
    latex=r"\max_{\lambda\ge0}\min_j\frac{y_j(\lambda)}{c_j}="
    r"\min_{\mu\ge0}\frac{\mathbb{E}_x\,\mathrm{sd}_x(\mu\cdot r)}{c\cdot\mu}",
    assumptions=(
        "advantage = centred score over the std of its prompt (GRPO), 0/0 := 0",
        "every prompt of positive mass: C_x = 0, or min over the simplex of μ'C_xμ > 0",
        "c ≥ 0, c ≠ 0",
    ),
    source="ours (support function of a convex body)",
    explanation="With advantages of unit standard deviation, as in GRPO, a covariance has a "
    "ceiling, so targets can be too high. They are not exactly if every non-negative bundle of "
    "objectives asks, in sum, for no more than the mean within-prompt standard deviation of that "
    "bundle. The check needs rewards only. It needs every prompt's rewards to be of full rank: "
    "with fewer completions than objectives, bundles may pass while no weights reach the targets.",
    needs=World,
    sides=sides,
    control=NegativeControl("whatever the rank of C_x", any_rank_sides),
    nearer=(one_percent_less(sides, "what bundles allow"),),
    ensemble=Ensemble(draw_problems, 140),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)

"""T32: with unnormalised advantages any positive target is reachable iff v* > 0: scale the weights.

{λ ≥ 0: Cλ ≥ c} = ∅ ⇔ ∃μ ≥ 0, μ ≠ 0: Cμ = 0, for every c > 0.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement
from covlaw.theory.statements.ctwa._feasibility import max_margin
from covlaw.theory.statements.ctwa._problems import (
    as_problems,
    correlations,
    draw_problems,
    drawn_targets,
    with_dependent_objective,
)
from covlaw.theory.worlds.world import World


class Reach(NamedTuple):
    """Verdicts of both programmes (B,), in units where every reward has variance 1."""

    by_programme: Tensor
    """Whether some λ ≥ 0 of any size has Cλ ≥ c: V_c > 0."""
    by_norm: Tensor
    """Whether v* > 0."""
    within_one: Tensor
    """Whether weights of total 1 do: V_c ≥ 1."""
    regular: Tensor
    """Whether C is non-singular beyond rounding."""
    decided: Tensor


def reach(instance: PromptCovariances | World, rng: np.random.Generator) -> Reach:
    """Decide random targets from 0.1 to 100 standard deviations by both programmes.

    V_c = max over the simplex of min_j (Cλ)_j/c_j; the smallest weights that reach c sum to
    1/V_c. min_j 1/c_j · v* ≤ V_c ≤ √v*·max_j 1/c_j gives the cut, as in T30.
    """
    matrix, unit, noise = correlations(with_dependent_objective(as_problems(instance)))
    targets = drawn_targets(rng, torch.ones_like(unit), (-1.0, 2.0))
    game, least = max_margin(matrix, targets), min_norm_point(matrix).value
    cut = (2 * noise).sqrt() / targets.amin(1)
    sure = least / targets.amax(1) > cut + (game.upper - game.value)
    regular = torch.linalg.eigvalsh(matrix)[..., 0] > (2 * noise).sqrt()
    decided = (least <= noise) | sure
    return Reach(game.value > cut, least > noise, game.value >= 1, regular, decided)


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """1 where the linear programme reaches the targets, against 1 where v* > 0."""
    found = reach(instance, rng)
    return _indicators(found.by_programme, found.by_norm, found.decided)


def bounded_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: what is reachable at all, weights of total 1 reach."""
    found = reach(instance, rng)
    return _indicators(found.by_programme, found.within_one, found.decided)


def regular_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: any null vector of C puts targets out of reach, not only a bundle."""
    found = reach(instance, rng)
    return _indicators(found.by_programme, found.regular, found.decided)


def _indicators(measured: Tensor, predicted: Tensor, decided: Tensor) -> Sides:
    one, other = (t[decided].to(torch.float64) for t in (measured, predicted))
    return Sides(one, other, torch.zeros_like(one))


STATEMENT = Statement(
    id="T32",
    title="With raw advantages every positive target is reachable, or none is",
    kind="identity",
    formula="{λ ≥ 0: Cλ ≥ c} = ∅ ⇔ ∃μ ≥ 0, μ ≠ 0: Cμ = 0, for every c > 0",
    latex=r"\{\lambda\ge0:\ C\lambda\ge c\}=\emptyset \iff"
    r" \exists\mu\ge0,\ \mu\ne0:\ C\mu=0\qquad(c>0)",
    assumptions=(
        "C = E_x Cov_x(r)",
        "advantages centred, not divided by any standard deviation",
        "c > 0; weights of any size",
        "compared where v* is 0 to rounding, or above the margin that rounding allows",
    ),
    source="ours (Farkas' lemma and T30)",
    explanation="A target c_j asks reward j to covary with the advantage at least so much. If "
    "advantages are not normalised, doubling all weights doubles every covariance: the size of c "
    "is a demand on the learning rate, not on the trade-off. So a raw target says nothing about "
    "interference beyond T30; targets mean something once the advantage has a fixed scale (T35).",
    needs=World,
    sides=sides,
    control=NegativeControl("only what weights of total 1 reach is reachable", bounded_sides),
    nearer=(NegativeControl("a null vector of any signs forbids it: C singular", regular_sides),),
    ensemble=Ensemble(draw_problems, 210),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
)

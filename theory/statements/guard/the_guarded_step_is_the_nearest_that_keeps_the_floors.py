"""T58: the guarded step keeps every floor and no other step that does is nearer.

u* = u + P Σ_k μ_k g_k, μ = argmin over μ ≥ 0 of ½μ'Gμ + μ·(g·u − b): M numbers.
"""

import numpy as np
import sympy
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.statements.guard._guard_problems import (
    NO_GRADIENTS_IN_AN_LLM,
    GuardProblem,
    drawn_floors,
    drawn_problem,
)
from covlaw.theory.worlds.world import World

RIVALS = 2
"""Feasible steps, an instance, that are compared for their distance from u."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Missed floors against 0; the squared change against its dual bound and that of rivals."""
    problem = drawn_problem(world, rng)
    floor = drawn_floors(problem, rng)
    weights = problem.solve(floor).weights
    return joined([*_claims(problem, floor, weights), *_rivals(problem, floor, weights, rng)])


def one_by_one_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: each floor corrected on its own, as if the others' pulls did nothing."""
    problem = drawn_problem(world, rng)
    floor = drawn_floors(problem, rng)
    square = problem.gramian().diagonal()
    missing = (floor - problem.effects()).clamp(min=0.0)
    weights = torch.where(square > 0, missing / torch.where(square > 0, square, 1.0), 0.0)
    return joined(_claims(problem, floor, weights))


def _claims(problem: GuardProblem, floor: Tensor, weights: Tensor) -> list[Part]:
    """Floors kept; ½|u* − u|² no more than its dual bound; nothing changed where none was missed.

    The dual bound −½μ'Gμ − μ·(g·u − b) lies below ½|v − u|² of every v that keeps the floors.
    """
    gram, slack = problem.gramian(), problem.effects() - floor
    moved = problem.moved(weights)
    missed = floor - problem.effects(moved)
    doubt = problem.effect_rounding(weights) + rounding(floor, 64)
    change = problem.length(moved - problem.step)[None] / 2
    dual = (-weights @ gram @ weights / 2 - weights @ slack)[None]
    tight = weights @ doubt + problem.length_rounding(weights)
    parts: list[Part] = [(missed, torch.zeros_like(missed), doubt), (change, dual, tight[None])]
    if bool((slack >= 0).all()):
        parts.append((change, torch.zeros_like(change), torch.zeros_like(change)))
    return parts


def _rivals(
    problem: GuardProblem, floor: Tensor, weights: Tensor, rng: np.random.Generator
) -> list[Part]:
    """Steps that keep higher floors, doing nothing, and halfway to them: all feasible."""
    found = problem.moved(weights)
    change = problem.length(found - problem.step)
    parts: list[Part] = []
    for _ in range(RIVALS):
        raised = floor * float(rng.uniform(0, 1))
        other = problem.solve(raised).weights
        for rival in (problem.moved(other), problem.moved(other) / 2 + found / 2, 0 * found):
            doubt = problem.length_rounding(weights) + problem.length_rounding(other)
            bound = problem.length(rival - problem.step)
            parts.append((change[None], bound[None], doubt[None]))
    return parts


def proofs() -> list[Proof]:
    """One floor: u* = u + P g (b − g·u)/G sits on it; two tight floors: Gμ = b − g·u does."""
    g, u, p = (sympy.symbols(f"{n}1:3", real=True) for n in "gup")
    b = sympy.Symbol("b", real=True)
    gram = sum(x * w * x for x, w in zip(g, p, strict=True))
    effect = sum(x * y for x, y in zip(g, u, strict=True))
    mu = (b - effect) / gram
    moved = [y + w * mu * x for x, y, w in zip(g, u, p, strict=True)]
    kept = sum(x * y for x, y in zip(g, moved, strict=True)) - b
    length = sum((v - y) ** 2 / w for v, y, w in zip(moved, u, p, strict=True))
    dual = -(mu**2) * gram / 2 - mu * (effect - b)
    return [
        Proof("one floor is met exactly", sympy.simplify(kept)),
        Proof("its primal and dual values agree", sympy.simplify(length / 2 - dual)),
    ]


STATEMENT = Statement(
    id="T58",
    title="The guarded step is the nearest that keeps the floors, and M weights give it",
    explanation="An optimiser proposes a step u. Of all steps under which no objective's effect, to"
    " first order g_j·v, falls below its floor b_j, the guard takes the nearest, in the optimiser's"
    " own metric P. It differs from u by a weighted sum of the objectives' gradients, and the"
    " weights solve a quadratic programme in as many numbers as there are objectives, however large"
    " the model. Where nothing would fall the step is not touched.",
    kind="bound",
    formula="u* = argmin |v − u|² s.t. g_j·v ≥ b_j = u + P Σ μ_k g_k,"
    " μ = argmin_{μ≥0} ½μ'Gμ + μ·(g·u − b), G_jk = g_j'P g_k, |v|² = v'P⁻¹v",
    latex=r"u^*=\arg\min_{g_j\cdot v\ge b_j}|v-u|^2=u+P\sum_k\mu_kg_k,\quad "
    r"\mu=\arg\min_{\mu\ge0}\tfrac12\mu'G\mu+\mu\cdot(g\cdot u-b)",
    assumptions=(
        "floors b ≤ 0 (b > 0: only if the min-norm point of the P^½g_j is not 0)",
        "P > 0",
    ),
    source="ours; a projection on a polyhedron by its dual (the same programme on the gradient, in"
    " the plain metric: GEM, Lopez-Paz & Ranzato 2017)",
    needs=World,
    sides=sides,
    control=NegativeControl("each floor corrected on its own", one_by_one_sides),
    not_applicable={"llm": NO_GRADIENTS_IN_AN_LLM},
    proofs=proofs,
)

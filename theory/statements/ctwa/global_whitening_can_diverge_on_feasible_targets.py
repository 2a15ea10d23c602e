"""T38: under global whitening raising a weight can lower its covariance, and CTWA can run away.

∂y_j/∂λ_j < 0 ⇔ (Cλ)_j(Σλ)_j > C_jj λ'Σλ, Σ = C + B. Whitening with the pooled within-prompt std
instead makes y a gradient field again: T37 with the one matrix C.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_bounds import grpo_step_limit
from covlaw.theory.dynamics.ctwa_dynamics import Controller, run_ctwa
from covlaw.theory.dynamics.ctwa_signals import whitened_signal
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.ctwa._bundles_and_weights import full_rank, target_scale
from covlaw.theory.statements.ctwa._climbing import gain_part, grpo_climb, grpo_path
from covlaw.theory.statements.ctwa._problems import as_problems, draw_problems, drawn_targets
from covlaw.theory.statements.ctwa._whitening_examples import (
    FEASIBLE_WEIGHTS,
    example,
    example_targets,
    gain_size,
    own_gains,
)
from covlaw.theory.worlds.world import World

STEP, STEPS, CLIMB = 0.1, 400, 20
"""η and updates on the example; updates of the climb."""


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The gain formula, the pooled climb at 90 % of its headroom, and the example."""
    problems = full_rank(as_problems(instance))
    return joined([_gain_formula(problems, rng), *_pooled_climb(problems, rng), *example_parts()])


def reached_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: under global whitening, too, CTWA reaches feasible targets."""
    del instance, rng
    return joined([_missing("whitened")])


def within_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: the gain as under pooled whitening, C in place of Σ."""
    return joined([_gain_formula(full_rank(as_problems(instance)), rng, spread=False)])


def full_gain_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: under the pooled std f gains all that its slope promises."""
    path = grpo_path(*_pooled_problem(full_rank(as_problems(instance)), rng), CLIMB)
    return joined([gain_part(path, 1.0)])


def _gain_formula(
    problems: PromptCovariances, rng: np.random.Generator, spread: bool = True
) -> Part:
    """|∂y_j/∂λ_j by autograd − formula| against 0; `spread`: with that of the prompts' means."""
    shape = tuple(problems.means[:, 0].shape)
    unit = target_scale(problems)
    weights = torch.as_tensor(10 ** rng.uniform(-1.5, 0, size=shape)) / unit
    within = problems.within()
    total = within + problems.between()
    formula = own_gains(within, total if spread else within, weights)
    difference = autograd_gains(problems, weights) - formula
    size = gain_size(within, total, weights)
    error = rounding(size, 32 * shape[-1] + 128)
    return difference.abs().flatten(), torch.zeros_like(error).flatten(), error.flatten()


def autograd_gains(problems: PromptCovariances, weights: Tensor) -> Tensor:
    """∂y_j/∂λ_j of the globally whitened signal: (B, M), by reverse mode."""
    at = weights.clone().requires_grad_()
    y = whitened_signal(problems, at)
    columns = [
        torch.autograd.grad(y[:, j].sum(), at, retain_graph=True)[0][:, j]
        for j in range(weights.shape[1])
    ]
    return torch.stack(columns, 1)


def _pooled_climb(problems: PromptCovariances, rng: np.random.Generator) -> list[Part]:
    """T37's climb for y = Cλ/√(λ'Cλ), at targets of 90 % of the headroom."""
    return grpo_climb(*_pooled_problem(problems, rng), CLIMB)


def _pooled_problem(
    problems: PromptCovariances, rng: np.random.Generator
) -> tuple[PromptCovariances, Tensor, Tensor, Tensor]:
    """Problems of one prompt, targets, log-weights at the start, and the largest allowed step."""
    pooled = problems.pooled()
    shape = drawn_targets(rng, target_scale(pooled))
    targets = 0.9 * headroom(pooled, shape).lower[:, None] * shape
    start = torch.as_tensor(rng.normal(size=tuple(shape.shape))) - target_scale(pooled).log()
    return pooled, targets, start, grpo_step_limit(pooled, targets)


@cache
def example_parts() -> tuple[Part, ...]:
    """Feasible with margin, never reached under global whitening, reached under pooled."""
    weights = torch.tensor([FEASIBLE_WEIGHTS], dtype=torch.float64)
    margin = (whitened_signal(example(), weights) - example_targets()).amin(1)
    equal = whitened_signal(example(), torch.ones_like(weights))
    at_first = (example_targets() - equal).amax(1)
    at_last, zero, error = _missing("whitened")  # y_1 falls from .4 to 1/√21 = .218
    return (zero, margin, error), (at_first, at_last, error), _missing("pooled")


@cache
def _missing(signal: str) -> Part:
    """Largest c_j − y_j where CTWA from equal weights ends, against 0."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    end = run_ctwa(example(), example_targets(), zero, Controller(signal, STEP), STEPS).final
    missing = (example_targets() - end.signal).amax(1)
    return missing, torch.zeros_like(missing), rounding(torch.ones_like(missing), 64)


@cache
def proofs() -> list[Proof]:
    """The gain formula, for M = 2 and 3 and any symmetric C and Σ."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    claim = "(λ'Σλ)^{3/2} ∂y_1/∂λ_1 = C_11 λ'Σλ − (Cλ)_1(Σλ)_1"
    return [Proof(f"M = {m}: {claim}", symbolic.gain_residual(m)) for m in (2, 3)]


STATEMENT = Statement(
    id="T38",
    title="Under global whitening CTWA can run away from feasible targets; pooled within it cannot",
    kind="bound",
    formula="y = Cλ/√(λ'Σλ), Σ = C + B: ∂y_j/∂λ_j < 0 ⇔ (Cλ)_j(Σλ)_j > C_jj λ'Σλ;"
    " C = [[1, 1], [1, 2]], B = diag(20, 0), c = (.5, .5): feasible, y → (.218, .218);"
    " y = Cλ/√(λ'Cλ): as T37 with one prompt",
    latex=r"\frac{\partial y_j}{\partial\lambda_j}<0 \iff"
    r" (C\lambda)_j(\Sigma\lambda)_j > C_{jj}\,\lambda'\Sigma\lambda,\quad \Sigma=C+B",
    assumptions=(
        "advantage = score centred by prompt over the std of all scores (REINFORCE++)",
        "B = covariance over prompts of the prompts' mean rewards; frozen",
        "pooled climb: C positive on the simplex and T37's step condition",
    ),
    source="ours",
    explanation="REINFORCE++ divides by the standard deviation of all scores, so prompts of "
    "unequal difficulty inflate the denominator. Raising the weight of a reward whose mean varies "
    "much between prompts then lowers every covariance, its own too; CTWA answers by raising it "
    "further, although other weights would meet all targets. Dividing by the standard deviation "
    "within prompts, pooled over the batch, removes the defect and reweights no prompt.",
    needs=World,
    sides=sides,
    control=NegativeControl("global whitening, too, reaches feasible targets", reached_sides),
    nearer=(
        NegativeControl("the gain with C in place of Σ", within_sides),
        NegativeControl("pooled, f gains η Σ λ_j d_j², without the ½", full_gain_sides),
    ),
    ensemble=Ensemble(draw_problems, 140),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)

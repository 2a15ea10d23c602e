"""T46: a KL-regularised bandit has a PL constant of its own at every policy, and no uniform one.

|∇J|² ≥ 2μ(J* − J), μ = βπ_min/(2φ(b)); natural gradient: μ = β/(2φ(b)), and it contracts exactly.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.kl_bandit import (
    PlConstants,
    best_log_prob,
    divergence,
    excess,
    natural_step,
    oscillation,
    pl_constants,
)
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.convergence._regularised_rows import (
    RegularisedRows,
    draw_regularised,
    regularised_rows,
    sizes,
)
from covlaw.theory.worlds.world import World

NEAR = 1e-3
"""Size of ℓ near the optimum."""


def sides(source: World | RegularisedRows, rng: np.random.Generator) -> Sides:
    """Gap and gradient against their forms in ℓ; both PL bounds, also near the optimum.

    Contraction; gap ≤ osc²/8.
    """
    rows = regularised_rows(source, rng)
    best = best_log_prob(rows.score, rows.reference, 1.0)
    near = _near_the_optimum(best, rng)
    steep = [
        part
        for at in (rows.log_prob, near)
        for part in pl_inequalities(at, best, pl_constants(at, best))
    ]
    return joined([*_identities(rows, best), *steep, *_contraction(rows, best, rng)])


def uniform_sides(source: World | RegularisedRows, rng: np.random.Generator) -> Sides:
    """The false variant: the constants of the optimum, βπ_min and β, at every policy."""
    rows = regularised_rows(source, rng)
    best = best_log_prob(rows.score, rows.reference, 1.0)
    rarest = torch.where(best > -torch.inf, rows.log_prob, torch.inf).amin(1).exp()
    constants = PlConstants(rarest, torch.ones_like(rarest))
    return joined(pl_inequalities(rows.log_prob, best, constants))


def larger_sides(source: World | RegularisedRows, rng: np.random.Generator) -> Sides:
    """The false variant: the natural gradient's constant 1 % larger, near the optimum."""
    rows = regularised_rows(source, rng)
    best = best_log_prob(rows.score, rows.reference, 1.0)
    near = _near_the_optimum(best, rng)
    plain, natural = pl_constants(near, best)
    return joined(pl_inequalities(near, best, PlConstants(plain, 1.01 * natural))[1:])


def _near_the_optimum(best: Tensor, rng: np.random.Generator) -> Tensor:
    """Log-probs (B, n) of policies whose ℓ is of size `NEAR`: there the natural bound is tight."""
    noise = NEAR * torch.as_tensor(rng.normal(size=tuple(best.shape)))
    return (best + noise).log_softmax(1)


def pl_inequalities(log_prob: Tensor, best: Tensor, constants: PlConstants) -> list[Part]:
    """2μ·KL against |∇J|² and against the natural gradient's squared length Var(ℓ): (B,) each."""
    mass, gap = log_prob.exp(), divergence(log_prob, best)
    own = torch.where(mass > 0, excess(log_prob, best), 0.0)
    centred = own - (mass * own).sum(1, keepdim=True)
    steepness = [(mass.square() * centred.square()).sum(1), (mass * centred.square()).sum(1)]
    # ℓ is taken as given (then π* = π·e^{−ℓ} up to a constant, which enters squared): what is left
    # are the roundings of sums of positive terms, and of ℓ − E ℓ
    shift = rounding(sizes(log_prob, best), 4)
    return [
        (2 * mu * gap, square, _around(2 * mu * gap, square, weight, shift, log_prob.shape[1]))
        for mu, square, weight in zip(constants, steepness, (mass.square(), mass), strict=True)
    ]


def _around(left: Tensor, right: Tensor, weight: Tensor, shift: Tensor, arms: int) -> Tensor:
    total = weight.sum(1)
    blurred = 2 * (total * right).sqrt() * shift + total * shift.square()
    return rounding(left + right, 8 * (arms + 16)) + blurred + shift.square()


def _identities(rows: RegularisedRows, best: Tensor) -> list[Part]:
    """|J* − J − KL| and | |∇J| − |π∘(ℓ − Eℓ)| | against 0: (B,) each."""
    mass = rows.log_prob.exp()
    top = torch.where(best > -torch.inf, rows.reference + rows.score, -torch.inf).logsumexp(1)
    shortfall = (top - rows.value(rows.log_prob) - divergence(rows.log_prob, best)).abs()
    logits = rows.log_prob.clone().requires_grad_()
    gradient = torch.autograd.grad(rows.value(logits.log_softmax(1)).sum(), logits)[0]
    own = torch.where(mass > 0, excess(rows.log_prob, best), 0.0)
    claim = mass * (own - (mass * own).sum(1, keepdim=True))
    size = sizes(rows.log_prob, best) + rows.score.abs().amax(1) + sizes(rows.reference, best)
    error = rounding(size, 16 * (mass.shape[1] + 8))
    zero = torch.zeros_like(error)
    return [(shortfall, zero, error), ((gradient + claim).norm(dim=1), zero, error)]


def _contraction(rows: RegularisedRows, best: Tensor, rng: np.random.Generator) -> list[Part]:
    """|osc(ℓ_1) − |1 − η|·osc(ℓ_0)| against 0, and KL against osc²/8: (B,) each."""
    eta = torch.as_tensor(rng.uniform(0, 2, (len(best), 1)))
    new = natural_step(rows.log_prob, rows.score, rows.reference, 1.0, eta)
    before, after = oscillation(rows.log_prob, best), oscillation(new, best)
    size = sizes(rows.log_prob, best) + sizes(new, best) + sizes(rows.reference, best)
    error = rounding(size + rows.score.abs().amax(1), 32)
    miss = (after - (1 - eta[:, 0]).abs() * before).abs()
    gap, ceiling = divergence(rows.log_prob, best), before.square() / 8
    slack = rounding(gap + ceiling, 8 * (best.shape[1] + 16)) + before * error + error.square()
    return [(miss, torch.zeros_like(miss), error), (gap, ceiling, slack)]


@cache
def proofs() -> list[Proof]:
    """Gap and gradient in terms of ℓ, three arms."""
    from covlaw.theory.statements.convergence import _symbolic_softmax as symbolic

    return [
        Proof("3 arms: J* − J − β·KL(π‖π*) = 0", symbolic.regularised_gap_residual()),
        Proof("3 arms: ∂J/∂z_1 + βπ_1(ℓ_1 − Eℓ) = 0", symbolic.regularised_gradient_residual()),
    ]


STATEMENT = Statement(
    id="T46",
    title="A KL-regularised bandit has a PL constant of its own at every policy, none for all",
    kind="bound",
    formula="J* − J = β KL(π‖π*), |∇J|² ≥ 2μ(J* − J) with μ = βπ_min/(2φ(b)), natural gradient"
    " μ = β/(2φ(b)); osc(ℓ_{t+1}) = |1 − ηβ| osc(ℓ_t), J* − J ≤ (β/8) osc(ℓ)²; ℓ = log π/π*,"
    " b = max(Eℓ − ℓ), φ(b) = (e^b − 1 − b)/b²",
    latex=r"|\nabla J|^2\ge 2\mu\,(J^*-J),\quad \mu=\frac{\beta\,\pi_{\min}}{2\varphi(b)},\quad"
    r"\mathrm{osc}(\ell_{t+1})=|1-\eta\beta|\,\mathrm{osc}(\ell_t)",
    assumptions=(
        "J = E s − β KL(π‖ref), β > 0, ref of full support",
        "prompt by prompt; gradients in one free logit a completion",
        "a natural step is π·e^{η(s − β log π/ref)}, normalised",
    ),
    source="constants ours; exact contraction known (natural policy gradient with entropy: Cen et"
    " al. 2022)",
    needs=World,
    sides=sides,
    control=NegativeControl("the optimum's constants βπ_min and β at every policy", uniform_sides),
    nearer=(NegativeControl("the natural gradient's constant 1 % larger", larger_sides),),
    ensemble=Ensemble(draw_regularised, 2048),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    proofs=proofs,
    explanation="Most training objectives subtract β times the KL divergence from a reference"
    " policy. That makes the best policy π* unique and every gap visible in ℓ = log(π/π*), yet it"
    " does not make the objective PL with one constant: where a completion that π* wants has become"
    " rare, gradients are exponentially small. Natural gradient escapes this: it shrinks ℓ by the"
    " same factor |1 − ηβ| at every step, whatever the policy.",
)

"""T44: rates at which a softmax policy reaches its best completions.

Plain ascent with the exact smoothness L = (√3/9)R: J* − J_t ≤ (2√3/9)·R/(c²t), c = inf π_t(a*).
Tilts (natural gradient): J* − J_t ≤ Σ π_0 Δ_a e^{−ηtΔ_a}/π_0(a*), geometric.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.softmax_convergence import progress, tilt_gap_bound, vanilla_gap_bound
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
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
from covlaw.theory.statements.convergence._softmax_ascent import STEPS, Path, ascend
from covlaw.theory.statements.convergence._softmax_rows import SoftmaxRows, draw_rows, rows_of
from covlaw.theory.worlds.world import World

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Total strengths ηt of the tilts, in units of 1/R."""


def sides(source: World | SoftmaxRows, _: np.random.Generator) -> Sides:
    """Tilts on every row; the rate, the gain of a step and |∇J| ≥ π(a*)δ where logits are free."""
    rows = rows_of(source)
    path = ascend(rows.free_logits)
    return joined([_tilts(rows, 1.0), *_rates(path, rows.free_logits), _slopes(path)])


def uniform_sides(source: World | SoftmaxRows, _: np.random.Generator) -> Sides:
    """The false variant: the initial PL constant holds all the way."""
    free = rows_of(source).free_logits
    path = ascend(free)
    ratio = progress(1.0, free.step) * path.slope[0].square() / path.gap[0]
    t = torch.arange(STEPS + 1, dtype=torch.float64)[:, None]
    forecast = path.gap[0] * (1 - ratio) ** t
    return Sides(path.gap.flatten(), forecast.flatten(), (path.gap * path.error).flatten())


def tilt_sides(source: World | SoftmaxRows, _: np.random.Generator) -> Sides:
    """The gap after tilts against its bound, alone."""
    return joined([_tilts(rows_of(source), 1.0)])


def undivided_sides(source: World | SoftmaxRows, _: np.random.Generator) -> Sides:
    """The false variant: no 1/π_0(a*) for tilts."""
    rows = rows_of(source)
    best = torch.where(rows.shortfall == 0, rows.log_prob.exp(), 0.0).sum(1)
    return joined([_tilts(rows, best)])


def _rates(path: Path, rows: SoftmaxRows) -> list[Part]:
    """(J* − J_t)/bound ≤ 1, as a product; and δ_{t+1} ≤ δ_t − κ|∇J_t|²: (T·B,) each."""
    least = path.best.cummin(0).values[:-1]
    t = torch.arange(1, STEPS + 1, dtype=torch.float64)[:, None]
    share = path.gap[1:] / vanilla_gap_bound(1.0, least, t, rows.step).clamp(max=1e300)
    one = torch.ones_like(share)
    gained = path.gap[:-1] - progress(1.0, rows.step) * path.slope[:-1].square()
    error = path.error[1:]
    slack = error * (path.gap[:-1] + path.slope[:-1].square() * rows.step)
    return [
        (share.flatten(), one.flatten(), (4 * error * share).flatten()),
        (path.gap[1:].flatten(), gained.flatten(), (4 * slack).flatten()),
    ]


def _slopes(path: Path) -> Part:
    """π(a*)(J* − J) ≤ |∇J| at every policy: ((T + 1)·B,) each."""
    error = path.error * path.slope
    return (path.best * path.gap).flatten(), path.slope.flatten(), 4 * error.flatten()


def _tilts(rows: SoftmaxRows, factor: Tensor | float) -> Part:
    """J* − J_t after tilts of each strength, against `factor` times its bound: (4·B,) each."""
    measured, predicted = [], []
    for strength in STRENGTHS:
        tilted = (rows.log_prob - strength * rows.shortfall).log_softmax(1).exp()
        measured.append((tilted * rows.shortfall).sum(1))
        bound = tilt_gap_bound(rows.log_prob.exp(), rows.shortfall, strength)
        predicted.append(factor * bound)
    left, right = torch.cat(measured), torch.cat(predicted)
    size = torch.where(rows.log_prob > -torch.inf, rows.log_prob.abs(), 0.0).amax(1)
    exponent = (size + 2 * max(STRENGTHS)).repeat(len(STRENGTHS)) + rows.log_prob.shape[1] + 16
    return left, right, rounding(4 * exponent * (left + right), 1)


@cache
def proofs() -> list[Proof]:
    """The gradient's coordinate a*, the recursion of the rate, and the tilted gap."""
    from covlaw.theory.statements.convergence import _symbolic_softmax as symbolic

    return [
        Proof("3 arms: ∂J/∂z_1 − π_1(r_1 − J) = 0", symbolic.coordinate_residual()),
        Proof("1/(δ − xδ²) ≥ 1/δ + x: the difference is x²δ/(1 − xδ)", symbolic.rate_residual()),
        Proof("3 arms: J* − J_s = Σ π_0 Δ e^{−sΔ}/Z, Z ≥ π_0(a*)", symbolic.tilt_residual()),
    ]


STATEMENT = Statement(
    id="T44",
    title="A softmax policy reaches its best completions like 1/t by plain gradients, geometrically"
    " by tilts",
    kind="bound",
    formula="|∇J| ≥ π(a*)(J* − J); step 1/L, L = (√3/9)R: J* − J_t ≤ (2√3/9)R/(c²t),"
    " c = inf π_t(a*); tilts: J* − J_t ≤ Σ π_0 Δ_a e^{−ηtΔ_a}/π_0(a*)",
    latex=r"J^*-J_t\le\frac{2\sqrt3}{9}\frac{R}{c^2t},\qquad "
    r"J^*-J_t\le\frac1{\pi_0(a^*)}\sum_a\pi_0\Delta_a e^{-\eta t\Delta_a}",
    assumptions=(
        "prompt by prompt; Δ_a = r* − r_a, a* a best completion",
        "plain gradients: one free logit a completion, step γ ≤ 2/L (several prompts: D(x)γ)",
        "tilts: any enumerated policy",
    ),
    source="1/t rate: Mei, Xiao, Szepesvári & Schuurmans 2020 with 5/(c²t); exact smoothness"
    " constant ours (T14); tilts: known (multiplicative weights)",
    needs=World,
    sides=sides,
    control=NegativeControl("no 1/π_0(a*) for tilts", undivided_sides),
    nearer=(
        NegativeControl("a uniform PL constant: the initial one", uniform_sides),
        one_percent_less(tilt_sides, "the bound of tilts"),
    ),
    ensemble=Ensemble(draw_rows, 1024),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    proofs=proofs,
    explanation="J* − J is what the policy still loses against always giving the best completion"
    " a*. With plain policy gradients the loss falls only like 1/t, and slowly where the best"
    " completion is rare: the rate carries 1/c², c the smallest probability that a* ever had. A"
    " tilt (which is what natural gradient does to a full softmax) needs no such patience: every"
    " inferior completion decays geometrically at the pace of its own shortfall Δ_a.",
)

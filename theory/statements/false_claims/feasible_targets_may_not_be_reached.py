"""F8: feasible targets do not make CTWA converge: not under global whitening, nor with big steps.

Whitened: four arms, r_1 = (1, 1, −1, −1), r_2 = r_1 + (1, −1, 1, −1), r_1 shifted by ±5 between
two prompts, c = (.5, .5). Raw: C = [[1, −.9], [−.9, 1]], c = (.5, .4), η = 1.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_dynamics import Controller, observed, run_ctwa, uniform_start
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._whitened_pairs import (
    best_share,
    most_on_the_ray,
    second_leads,
    small_pairs,
)
from covlaw.theory.worlds.world import World

FIRST, OWN = (1.0, 1.0, -1.0, -1.0), (1.0, -1.0, 1.0, -1.0)
SHIFT = 5.0
WHITENED_TARGETS, WHITENED_WEIGHTS = (0.5, 0.5), (0.05, 0.95)
RAW, RAW_TARGETS, RAW_WEIGHTS = [[1.0, -0.9], [-0.9, 1.0]], (0.5, 0.4), (5.2, 5.2)
"""Covariances, targets, and weights that exceed the targets."""
MISSING = 0.01
"""Share of a target that may be missing: raw weights approach theirs from below."""
BIG, SMALL = 1.0, 0.1
"""η that explodes the raw example, and one that does not."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Margin of the listed weights against the margin that CTWA ends with, in both examples."""
    del world, rng
    return _both("whitened", BIG)


def mended_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: pooled within-prompt std, and a small step."""
    del world, rng
    return _both("pooled", SMALL)


@cache
def _both(signal: str, step: float) -> Sides:
    parts = [
        _margins(whitened_example(), WHITENED_TARGETS, WHITENED_WEIGHTS, Controller(signal, 0.1)),
        _margins(raw_example(), RAW_TARGETS, RAW_WEIGHTS, Controller("raw", step)),
    ]
    ended, promised = (torch.cat(column) for column in zip(*parts, strict=True))
    return Sides(ended, promised, rounding(torch.ones_like(ended), 256))


def _margins(
    problem: PromptCovariances,
    targets: tuple[float, ...],
    weights: tuple[float, ...],
    controller: Controller,
) -> tuple[Tensor, Tensor]:
    """min_j y_j/c_j − (1 − MISSING) where CTWA ends, and at the listed weights: (1,) each."""
    goal = torch.tensor([targets], dtype=torch.float64)
    listed = torch.tensor([weights], dtype=torch.float64).log()
    end = run_ctwa(problem, goal, uniform_start(problem), controller, 600, MISSING)
    ended = end.final.signal.clamp(min=-1e9)
    promised = observed(problem, listed, controller.signal)
    margins = [(y / goal).amin(1) - (1 - MISSING) for y in (ended, promised)]
    return margins[0], margins[1]


@cache
def whitened_example() -> PromptCovariances:
    """C = [[1, 1], [1, 2]] in both of two prompts, B = diag(25, 0)."""
    first, own = (torch.tensor(v, dtype=torch.float64) for v in (FIRST, OWN))
    rewards = torch.stack([first, first + own], 1)
    shift = torch.tensor([[SHIFT, 0.0]], dtype=torch.float64)
    prompt = torch.arange(2).repeat_interleave(4)
    quarter = torch.full((8,), 0.25, dtype=torch.float64)
    found = prompt_covariances(torch.cat([rewards + shift, rewards - shift]), prompt, quarter)
    return PromptCovariances(*(part[None] for part in found))


@cache
def raw_example() -> PromptCovariances:
    """One prompt with two rewards of correlation −.9."""
    matrices = torch.tensor(RAW, dtype=torch.float64)[None, None]
    zero = torch.zeros(1, 1, 2, dtype=torch.float64)
    return PromptCovariances(matrices, zero[..., 0] + 1, zero, zero)


def _cases() -> Iterator[Case]:
    for case in small_pairs():
        for twentieths in (8, 10, 6, 12, 4):
            yield {**case, "c": (Fraction(twentieths, 20),) * 2, "λ_0": (1, 1)}


def _refute(case: Case) -> Contrast | None:
    """Feasible, and yet λ₁ grows for ever.

    Let q = λ₂/λ₁. If y₂ ≥ y₁ everywhere on 0 ≤ q ≤ 1, then q never grows (u₁ rises at least as
    fast as u₂), so it stays in [0, 1]; if also y₁ < c on all of [0, 1], u₁ rises for ever at a
    rate bounded from below. Both are polynomial inequalities in q, decided exactly.
    """
    target = case["c"][0]
    reached = best_share(case, target)
    if reached is None or not second_leads(case):
        return None
    worst = most_on_the_ray(case, target)
    if worst >= 0:
        return None
    share, margin = reached
    remark = f"λ = ({share}, {1 - share}) reaches both targets; from λ_0 = (1, 1) λ₁/λ₂ only grows"
    return Contrast(margin, worst, remark)


CLAIM = Claim(
    id="F8",
    sentence="Feasible targets make CTWA converge",
    forecast="min_j (Cλ)_j² − c²·λ'Σλ at some λ: > 0, so the targets are feasible",
    outcome="max over CTWA's whole path of (Cλ)₁² − c²·λ'Σλ: < 0, so λ₁ grows for ever",
    order="sum of the entries of B and C, then the target; 2 objectives, globally whitened",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F8",
    title="Feasible targets do not make CTWA converge under global whitening or with big steps",
    kind="counterexample",
    formula="y = Cλ/√(λ'Σλ), C = [[1, 1], [1, 2]], B = diag(25, 0), c = (.5, .5): feasible at"
    " λ = (.05, .95), y → (1, 1)/√26; y = Cλ, C = [[1, −.9], [−.9, 1]], c = (.5, .4): feasible at"
    " λ = (5.2, 5.2), diverges for η = 1",
    latex=r"\exists\lambda:\ y(\lambda)\ge c \quad\not\Rightarrow\quad y(\lambda_t)\to\ \ge c",
    assumptions=("CTWA from equal weights", "global whitening, or raw advantages and η = 1"),
    source="ours (T33, T38)",
    explanation="That some weights meet all targets does not mean that CTWA finds them. It never "
    "lowers a weight, so one update too large cannot be undone; and where the advantage is divided "
    "by the std of all scores, raising a weight can lower the covariance it was raised for.",
    needs=World,
    sides=sides,
    control=NegativeControl("pooled std and small steps, where the claim is true", mended_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)

"""F11: neither the softmax bandit nor its KL-regularised form is PL with one constant.

Two arms with p = 10⁻², 10⁻⁴, 10⁻⁶ for the better one, or for one of two equally good ones under KL
with a uniform reference: |∇J|²/(2·gap) = p²(1 − p)d (T45), and 3e-3, 1e-6, 3e-10 (T46).
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.kl_bandit import divergence, excess
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.worlds.world import World

RARE = (1e-2, 1e-4, 1e-6)
MIDDLE = (0.45, 0.5, 0.6)
PLAIN_MU, REGULARISED_MU = 1 / 16, 1 / 4
"""Half of the PL ratio at p = 1/2, with d = 1 and β = 1: constants that hold around there."""

Bandit = Callable[[Tensor], tuple[Tensor, Tensor]]


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Forecast |∇J|² − 2μ·gap > 0 against its value at three listed p and a random one."""
    return _forecast((*RARE, float(10 ** rng.uniform(-9, -2))))


def middle_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: policies away from the ends."""
    return _forecast((*MIDDLE, float(rng.uniform(0.45, 0.6))))


def plain(p: Tensor) -> tuple[Tensor, Tensor]:
    """|∇J|² and J* − J of rewards (1, 0) in two logits: (n,) each."""
    return 2 * (p * (1 - p)).square(), 1 - p


def regularised(p: Tensor) -> tuple[Tensor, Tensor]:
    """|∇J|² and J* − J of J = −KL(π‖uniform): (n,) each."""
    log_prob = torch.stack([p.log(), torch.log1p(-p)], -1)
    best = torch.full_like(log_prob, 0.5).log()
    own = excess(log_prob, best)
    gradient = p * (1 - p) * (own[..., 0] - own[..., 1])
    return 2 * gradient.square(), divergence(log_prob, best)


def _forecast(masses: tuple[float, ...]) -> Sides:
    p = torch.tensor(masses, dtype=torch.float64)
    parts = []
    for bandit, mu in ((plain, PLAIN_MU), (regularised, REGULARISED_MU)):
        square, gap = bandit(p)
        error = rounding(square + 2 * mu * gap, 64)
        parts.append((square - 2 * mu * gap, 2 * mu * gap, error))
    return joined(parts)


def _cases() -> Iterator[Case]:
    for n in count(3):
        yield {"π": (Fraction(1, n), Fraction(n - 1, n)), "r": (1, 0)}


def _refute(case: Case) -> Contrast | None:
    """|∇J|²/(2·gap) = p²(1 − p)·d for two arms whose rewards differ by d (T45)."""
    p = case["π"][0]

    def modulus(p: Fraction) -> Fraction:
        return p**2 * (1 - p)

    uniform = modulus(Fraction(1, 2))
    if modulus(p) >= uniform:
        return None
    far = [f"{float(modulus(Fraction(1, 10**k))):.0e}" for k in (2, 4, 6)]
    remark = f"p = 1e-2, 1e-4, 1e-6 leave {', '.join(far)}: no modulus serves everywhere"
    return Contrast(uniform, modulus(p) - uniform, remark)


CLAIM = Claim(
    id="F11",
    sentence="A softmax bandit is globally PL",
    forecast="PL modulus |∇J|²/(2·gap) at the uniform policy",
    outcome="modulus at π minus that",
    order="denominator of π; 2 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F11",
    title="Softmax objectives are not PL with one constant, with or without a KL penalty",
    kind="counterexample",
    formula="two arms, π = (p, 1 − p): |∇J|²/(2(J* − J)) = p²(1 − p)d; J = −KL(π‖uniform): 3e-3,"
    " 1e-6, 3e-10 at p = 1e-2, 1e-4, 1e-6",
    latex=r"\inf_\pi\frac{|\nabla J|^2}{2(J^*-J)}=0\quad\text{with and without }"
    r"-\beta\,\mathrm{KL}(\pi\|\mathrm{ref})",
    assumptions=("one free logit an arm", "plain gradients in the logits"),
    source="ours (T45, T46); plain case known in substance (Mei et al. 2020)",
    needs=World,
    sides=sides,
    control=NegativeControl("policies away from the ends, where the constants hold", middle_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
    explanation="The false claim: a softmax policy's objective satisfies |∇J|² ≥ 2μ·gap with one"
    " μ > 0, perhaps once a KL penalty is added, so training converges geometrically from any"
    " start. Constants that hold for an undecided policy fail by orders of magnitude where a"
    " completion that the best policy needs has probability 1e-2 or less: the gap is large and"
    " hardly any gradient is left to close it.",
)

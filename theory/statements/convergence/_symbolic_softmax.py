"""SymPy derivations about softmax bandits (T44–T46): 0 if and only if they hold.

As in `symbolic_kernel`, x_i = e^{z_i} > 0, so that ∂/∂z_i = x_i·∂/∂x_i and all is rational.
"""

from typing import Any

import sympy as sp

x = sp.symbols("x1:4", positive=True)
r = sp.symbols("r1:4", real=True)


def coordinate_residual(power: int = 1) -> Any:
    """∂J/∂z_1 − π_1^power·(r_1 − J) for three arms; false unless power is 1."""
    policy = [value / sum(x) for value in x]
    objective = sum(p * reward for p, reward in zip(policy, r, strict=True))
    return sp.cancel(x[0] * sp.diff(objective, x[0]) - policy[0] ** power * (r[0] - objective))


def rate_residual(sign: int = 1) -> Any:
    """1/(δ − yδ²) − 1/δ − y − y²δ/(1 − yδ): hence 1/δ_t ≥ t·y; false for sign −1."""
    gap, y = sp.symbols("delta y", positive=True)
    return sp.simplify(1 / (gap - y * gap**2) - 1 / gap - sign * y - y**2 * gap / (1 - y * gap))


def tilt_residual(normalised: bool = True) -> Any:
    """J* − J_s − Σ π_0 Δ e^{−sΔ}/Z for three arms, r_1 the best; false without Z."""
    s = sp.Symbol("s", positive=True)
    tilted = [mass * sp.exp(s * reward) for mass, reward in zip(x, r, strict=True)]
    gap = r[0] - sum(t * reward for t, reward in zip(tilted, r, strict=True)) / sum(tilted)
    short = [r[0] - reward for reward in r]
    decayed = [mass * sp.exp(-s * d) for mass, d in zip(x, short, strict=True)]
    claim = sum(d * w for d, w in zip(short, decayed, strict=True))
    return sp.simplify(gap - claim / (sum(decayed) if normalised else sum(x)))


def two_arm_pl_residual(power: int = 2) -> Any:
    """|∇J|²/(2(J* − J)) − p^power·(1 − p)·d for two arms with r = (d, 0); false unless 2 (T45)."""
    d = sp.Symbol("d", positive=True)
    p = x[0] / (x[0] + x[1])
    gradient = [value * sp.diff(p * d, value) for value in x[:2]]
    ratio = sum(g**2 for g in gradient) / (2 * (d - p * d))
    return sp.cancel(ratio - p**power * (1 - p) * d)


def two_arm_limits() -> list[Any]:
    """p²(1 − p)d at p → 0 and at p → 1: no positive constant lies below it (T45)."""
    p, d = sp.symbols("p d", positive=True)
    ratio = p**2 * (1 - p) * d
    return [sp.limit(ratio, p, 0), sp.limit(ratio, p, 1)]


def regularised_gap_residual(sign: int = 1) -> Any:
    """(J* − J) − β·KL(π‖π*) for three arms, J = E s − β KL(π‖ref); false for sign −1 (T46)."""
    ref, score, beta = _regularised()
    policy = sp.symbols("p1:4", positive=True)
    weight = [q * sp.exp(s / beta) for q, s in zip(ref, score, strict=True)]
    best = [w / sum(weight) for w in weight]
    divergence = sum(p * sp.log(p / b) for p, b in zip(policy, best, strict=True))
    value = _value(policy, ref, score, beta)
    gap = sign * beta * sp.log(sum(weight)) - value - beta * divergence
    # J* = β log Σ ref e^{s/β}; probabilities sum to 1
    full = gap.subs(policy[2], 1 - policy[0] - policy[1])
    return sp.simplify(sp.expand(sp.expand_log(full, force=True)))


def regularised_gradient_residual(sign: int = 1) -> Any:
    """∂J/∂z_1 + β·π_1(ℓ_1 − E ℓ), ℓ = log π/π*; false for sign −1 (T46)."""
    ref, score, beta = _regularised()
    policy = [value / sum(x) for value in x]
    # ℓ up to a constant, which cancels in ℓ − E ℓ
    excess = [sp.log(p / q) - s / beta for p, q, s in zip(policy, ref, score, strict=True)]
    mean = sum(p * e for p, e in zip(policy, excess, strict=True))
    derivative = x[0] * sp.diff(_value(policy, ref, score, beta), x[0])
    claim = -beta * policy[0] * (excess[0] - mean)
    return sp.simplify(sp.expand_log(derivative - sign * claim, force=True))


def _regularised() -> tuple[Any, Any, Any]:
    return sp.symbols("q1:4", positive=True), sp.symbols("s1:4"), sp.Symbol("beta", positive=True)


def _value(policy: Any, ref: Any, score: Any, beta: Any) -> Any:
    terms = zip(policy, ref, score, strict=True)
    return sum(p * (s - beta * sp.log(p / q)) for p, q, s in terms)

"""SymPy derivations about the score kernel's spectrum (T13): 0 if and only if it holds."""

from typing import Any

import sympy as sp

from covlaw.theory.statements.base import Proof


def spectrum_proofs() -> list[Proof]:
    """The bound; two arms; and three arms with a tie, where the threshold is met exactly."""
    return [
        Proof("((k_max−k_min)/2)² − (k − centre)² = (k_max−k)(k−k_min)", spread_residual()),
        Proof("2 arms: ⟨g_r, g_s⟩ − 2p(1−p)·Cov = 0: threshold 0", two_arm_residual()),
        Proof("π = (1−2q, q, q): both modes of K", three_arm_mode_residuals()),
        Proof("… ⟨g_r, g_s⟩ = 0 at corr = −(κ−1)/(κ+1)", three_arm_threshold_residual()),
    ]


def spread_residual(power: int = 2) -> Any:
    """((k_max − k_min)/2)² − (k − (k_max + k_min)/2)^power − (k_max − k)(k − k_min).

    The last term is ≥ 0 on the spectrum, so that |k − centre| ≤ half the spread; false unless
    power is 2.
    """
    k, low, high = sp.symbols("k k_min k_max", positive=True)
    half, centre = (high - low) / 2, (high + low) / 2
    return sp.expand(half**2 - (k - centre) ** power - (high - k) * (k - low))


def two_arm_residual(factor: int = 2) -> Any:
    """Σ π² A_r A_s − factor·p(1−p)·Cov(r, s): two arms have one eigenvalue, so threshold 0."""
    p = sp.Symbol("p", positive=True)
    policy = (p, 1 - p)
    r, s = sp.symbols("r1:3", real=True), sp.symbols("s1:3", real=True)
    return sp.expand(_kernel(policy, r, s, 2) - factor * p * (1 - p) * _kernel(policy, r, s, 1))


def three_arm_mode_residuals(largest: Any = None) -> Any:
    """Sum of squares of (K − k)v over both modes of π = (1 − 2q, q, q).

    The modes are (−2q, 1 − 2q, 1 − 2q) with k = 3q(1 − 2q) (or `largest`) and (0, 1, −1) with
    k = q; K f = π∘f − Σ π² f.
    """
    q = sp.Symbol("q", positive=True)
    policy = (1 - 2 * q, q, q)
    top = 3 * q * (1 - 2 * q) if largest is None else largest
    total = 0
    for value, mode in ((top, (-2 * q, 1 - 2 * q, 1 - 2 * q)), (q, (0, 1, -1))):
        mean = sum(p**2 * f for p, f in zip(policy, mode, strict=True))
        total += sum((p * f - mean - value * f) ** 2 for p, f in zip(policy, mode, strict=True))
    return sp.expand(total)


def three_arm_threshold_residual(shift: Any = 0) -> Any:
    """⟨g_r, g_s⟩ of the pair that attains the bound at corr = −(κ − 1)/(κ + 1) + shift.

    π = (1 − 2q, q, q), κ = 3(1 − 2q): 0 exactly at the threshold, so no smaller one would do; a
    positive shift gives a positive alignment, while the correlation is still negative.
    """
    q = sp.Symbol("q", positive=True)
    policy = (1 - 2 * q, q, q)
    kappa = 3 * (1 - 2 * q)
    correlation = -(kappa - 1) / (kappa + 1) + shift
    top, bottom = (-2 * q, 1 - 2 * q, 1 - 2 * q), (0, 1, -1)
    squares = [_kernel(policy, v, v, 1) for v in (top, bottom)]  # of the modes' norms
    alignment = [_kernel(policy, v, v, 2) for v in (top, bottom)]
    a2, b2 = (1 + correlation) / 2, (1 - correlation) / 2
    return sp.cancel(a2 * alignment[0] / squares[0] - b2 * alignment[1] / squares[1])


def _kernel(policy: Any, r: Any, s: Any, power: int) -> Any:
    """Σ π^power A_r A_s."""
    rows = list(zip(policy, r, s, strict=True))
    mean_r, mean_s = (sum(p * row[i] for p, *row in rows) for i in (0, 1))
    return sum(p**power * (a - mean_r) * (b - mean_s) for p, a, b in rows)

"""SymPy derivations of the PL rates (T41): residuals that are 0 if and only if they hold.

In units where L = 1, with k = μ and g = γ. Vectors enter by their inner products: a = |g0|²,
b = ⟨g0, g1⟩, c = |g1|² of the gradients at x and at x⁺ = x − g·g0; d0, d1 are the gaps.
"""

from typing import Any

import sympy as sp

QUARTER = sp.Rational(1, 4)
k, g, u = sp.symbols("k g u", positive=True)
a, b, c, d0, d1 = sp.symbols("a b c d0 d1", real=True)


def interpolation_residual(weight: Any = QUARTER) -> Any:
    """f(x) − f(y) ≥ ½⟨gx + gy, x − y⟩ + |gx − gy|²/4 − |x − y|²/4, from two quadratic bounds.

    For every z: f(y) + ⟨gy, z − y⟩ − |z − y|²/2 ≤ f(z) ≤ f(x) + ⟨gx, z − x⟩ + |z − x|²/2. The
    best z is (x + y)/2 + (gy − gx)/2. Coordinates separate: one is enough. False unless weight 1/4.
    """
    x, y, gx, gy = sp.symbols("x y gx gy", real=True)
    z = (x + y) / 2 + (gy - gx) / 2
    below = gy * (z - y) - (z - y) ** 2 / 2
    above = gx * (z - x) + (z - x) ** 2 / 2
    claim = (gx + gy) * (x - y) / 2 + weight * (gx - gy) ** 2 - (x - y) ** 2 / 4
    return sp.expand(below - above - claim)


def forward() -> Any:
    """The bound on f(x) − f(x⁺) from below: interpolation at (x, x⁺)."""
    return g * (a + b) / 2 + (a - 2 * b + c) / 4 - g**2 * a / 4


def backward() -> Any:
    """The bound on f(x⁺) − f(x) from below: interpolation at (x⁺, x)."""
    return -g * (a + b) / 2 + (a - 2 * b + c) / 4 - g**2 * a / 4


def descent_residual(share: Any = QUARTER) -> Any:
    """At γ = 1/L: f0 − f1 ≥ |g0|²/(2L) + |g1|²/(4L); false unless share = 1/4."""
    return sp.expand(forward().subs(g, 1) - (a / 2 + share * c))


def unit_step_residual(rate: Any = (2 - 2 * k) / (2 + k)) -> Any:
    """PL inserted twice in it: d0 − d1 = k·d0 + (k/2)·d1 has the solution d1 = rate·d0."""
    return sp.simplify(sp.solve(d0 - d1 - k * d0 - k * d1 / 2, d1)[0] / d0 - rate)


def short_step_residual(power: int = 2) -> Any:
    """0 ≤ γ ≤ 1/L: multipliers that prove δ⁺ ≤ u²δ; false unless power = 2.

    u solves the quadratic of `short_step_root`; remainders modulo it.
    """
    slack = u - (1 - g)
    first = 2 * u / (2 * u + k * slack)  # solves λ(1 + k·slack/(2u)) = 1
    after = first * slack / (4 * u)
    before = first * ((1 + 2 * g - g**2) - u * (1 - g)) / 4
    square = first * (1 - g) / (4 * u) * (u**2 * a - 2 * u * b + c)
    residual = _identity(first, sp.S.Zero, before, after, square, u**power)
    numerator = sp.Poly(sp.numer(sp.together(residual)), u)
    return sp.expand(sp.rem(numerator, sp.Poly(_short_quadratic(), u)).as_expr())


def short_step_root() -> Any:
    """The closed form of u in `improved_rate` solves that quadratic."""
    root = (k * (1 - g) + sp.sqrt(4 - 2 * k * (1 + k) * g * (2 - g))) / (2 + k)
    return sp.simplify(sp.expand(_short_quadratic().subs(u, root)))


def middle_step_residual(rate: Any = 1 - k * g * (4 - g**2) / (2 + k * g)) -> Any:
    """1/L ≤ γ ≤ √3/L: both interpolation inequalities, weighted so that ⟨g0, g1⟩ drops out."""
    first = (g + 1) / (2 + k * g)
    second = first * (g - 1) / (g + 1)
    before = g * (3 - g**2) / (2 * (2 + k * g))
    after = g / (2 * (2 + k * g))
    return _identity(first, second, before, after, sp.S.Zero, rate)


def long_step_residual(sign: int = 1) -> Any:
    """√3/L ≤ γ ≤ 2/L: PL at x⁺ alone; the square vanishes at g1 = (1 − g)·g0."""
    s = g - 1
    rate = s**2 / (s**2 + sign * k * (1 - s**2))
    after = (1 - rate) / (2 * k)
    first, second = rate / s, rate * (1 - s) / s
    square = (s**2 + 2 * s - 2) * rate / (4 * s**2) * (s**2 * a + 2 * s * b + c)
    return _identity(first, second, sp.S.Zero, after, square, rate)


def _short_quadratic() -> Any:
    return (2 + k) * u**2 - 2 * k * (1 - g) * u + k * (1 + 2 * g - g**2) - 2


def _identity(first: Any, second: Any, before: Any, after: Any, square: Any, rate: Any) -> Any:
    """rate·d0 − d1 = Σ multiplier·(inequality ≥ 0) + square, as an expression that must be 0."""
    combined = first * (d0 - d1 - forward()) + second * (d1 - d0 - backward())
    combined += before * (a - 2 * k * d0) + after * (c - 2 * k * d1) + square
    return sp.simplify(sp.together(rate * d0 - d1 - combined))

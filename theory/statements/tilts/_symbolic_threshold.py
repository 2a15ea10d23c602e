"""SymPy: the best constant, 32, of the one-prompt sign threshold (T6)."""

import sympy as sp

_x, _s, _eta, _delta = sp.symbols("x s eta delta", positive=True)
_k = sp.symbols("k", positive=True, integer=True)


def equal_ends_residual(scale: sp.Expr | None = None) -> sp.Expr:
    """g(1) − g(0) for g(s) = s − ν·e^{ηs}, ν = 1/(e^η − 1) unless another is given."""
    weight = 1 / (sp.exp(_eta) - 1) if scale is None else scale
    g = _s - weight * sp.exp(_eta * _s)
    return sp.simplify(g.subs(_s, 1) - g.subs(_s, 0))


def range_residual(factor: int = 2) -> sp.Expr:
    """max g − g(0) at e^{ηs} = (e^η − 1)/η, minus [coth x − 1/x + log(sinh x/x)/x]/2, x = η/2."""
    eta = 2 * _x
    growth = sp.exp(eta) - 1
    top = sp.log(growth / eta) / eta - 1 / eta
    span = top + 1 / growth
    claimed = (sp.coth(_x) - 1 / _x + sp.log(sp.sinh(_x) / _x) / _x) / factor
    # e^η − 1 = 2·e^x·sinh x, so the logarithms differ by x
    split = span.subs(sp.log(growth / eta), _x + sp.log(sp.sinh(_x) / _x))
    identity = sp.simplify((growth / eta - sp.exp(_x) * sp.sinh(_x) / _x).rewrite(sp.exp))
    return sp.simplify((split - claimed).rewrite(sp.exp)) + identity


def slope_residual() -> sp.Expr:
    """d/dx [x²/6 − log(sinh x/x)] − (1 + x²/3 − x·coth x)/x: so one inequality gives the other."""
    slope = sp.diff(_x**2 / 6 - sp.log(sp.sinh(_x) / _x), _x)
    return sp.simplify((slope - (1 + _x**2 / 3 - _x * sp.coth(_x)) / _x).rewrite(sp.exp))


def series_residual() -> sp.Expr:
    """Σ_k 2x²/(k²π²) − x²/3: the partial fractions of x·coth x − 1 without the x² below."""
    return sp.simplify(sp.summation(2 * _x**2 / (_k * sp.pi) ** 2, (_k, 1, sp.oo)) - _x**2 / 3)


def sharpness_residual(constant: int = 32) -> sp.Expr:
    """Limit of (first zero)·R S²/|C| minus the constant, for π = (1, 2, 1)/4, s = (0, 1/2, 1).

    With r = (0, 1, δ), C = δ/8 → 0, so the zero is −2C/κ(r, s, s) to first order in δ.
    """
    policy = [sp.Rational(1, 4), sp.Rational(1, 2), sp.Rational(1, 4)]
    reward, score = [0, 1, _delta], [0, sp.Rational(1, 2), 1]

    def mean(values: list[sp.Expr]) -> sp.Expr:
        return sum(p * v for p, v in zip(policy, values, strict=True))

    centred = [s - mean(score) for s in score]
    covariance = mean([r * s for r, s in zip(reward, centred, strict=True)])
    square = [s**2 for s in centred]
    third = mean([r * q for r, q in zip(reward, square, strict=True)]) - mean(reward) * mean(square)
    zero = -2 * covariance / third
    return sp.limit(zero / covariance, _delta, 0) - constant

"""SymPy residuals of part C's linear algebra, C = R'R with a general R (K × M)."""

import sympy as sp


def _gram(count: int, rows: int | None = None) -> tuple[sp.Matrix, sp.Matrix]:
    factor = sp.Matrix(rows or count, count, lambda i, j: sp.Symbol(f"r{i}{j}", real=True))
    return factor, factor.T * factor


def _vector(name: str, count: int) -> sp.Matrix:
    return sp.Matrix(sp.symbols(f"{name}:{count}", positive=True))


def farkas_residual(count: int) -> sp.Expr:
    """μ'Cλ − λ'(Cμ): a bundle with Cμ = 0 has μ'(Cλ) = 0, so Cλ > 0 is impossible (T30)."""
    matrix = _gram(count)[1]
    weights, bundle = _vector("l", count), _vector("m", count)
    return sp.expand((bundle.T * matrix * weights - weights.T * (matrix * bundle))[0])


def margin_residual(count: int) -> sp.Expr:
    """C_jj·μ'Cμ − (Cμ)_j² − Σ of squared minors of (r_j, Rμ): V ≤ √(v* C_jj) (T30)."""
    factor, matrix = _gram(count)
    bundle = _vector("m", count)
    first, mixed = factor[:, 0], factor * bundle
    minors = [
        (first[i] * mixed[k] - first[k] * mixed[i]) ** 2
        for i in range(count)
        for k in range(i + 1, count)
    ]
    gap = matrix[0, 0] * (bundle.T * matrix * bundle)[0] - (matrix * bundle)[0] ** 2
    return sp.expand(gap - sum(minors))


def kkt_residual(count: int) -> sp.Expr:
    """μ'Cμ − λ'Cλ − 2(μ − λ)'Cλ − |R(μ − λ)|²: the conditions of T31 suffice."""
    factor, matrix = _gram(count)
    weights, other = _vector("l", count), _vector("m", count)
    step = other - weights
    change = (other.T * matrix * other - weights.T * matrix * weights)[0]
    return sp.expand(change - 2 * (step.T * matrix * weights)[0] - (factor * step).norm() ** 2)


def ascent_residual(count: int) -> sp.Expr:
    """f(λ + δ) − f(λ) − Σ δ_j d_j + ½δ'Cδ with d = c − Cλ: the ascent inequality's core (T33)."""
    matrix = _gram(count)[1]
    weights, step, target = (_vector(name, count) for name in ("l", "e", "c"))

    def potential(at: sp.Matrix) -> sp.Expr:
        return (target.T * at - at.T * matrix * at / 2)[0]

    deficit = target - matrix * weights
    gain = potential(weights + step) - potential(weights)
    return sp.expand(gain - (step.T * deficit)[0] + (step.T * matrix * step)[0] / 2)


def gradient_residual(count: int) -> sp.Expr:
    """Σ_j |∂_j√(λ'Cλ) − (Cλ)_j/√(λ'Cλ)|: y is the gradient of g (T35)."""
    matrix = _gram(count)[1]
    weights = _vector("l", count)
    std = sp.sqrt((weights.T * matrix * weights)[0])
    product = matrix * weights
    return sum(
        (sp.simplify(sp.diff(std, weights[j]) - product[j] / std) ** 2 for j in range(count)),
        sp.Integer(0),
    )


def homogeneity_residual(count: int) -> sp.Expr:
    """λ·∇g − g: g has degree 1, so that λ·y(λ) = g(λ) (T35, T37)."""
    matrix = _gram(count)[1]
    weights = _vector("l", count)
    std = sp.sqrt((weights.T * matrix * weights)[0])
    slope = sum(weights[j] * sp.diff(std, weights[j]) for j in range(count))
    return sp.simplify(slope - std)


def gain_residual(count: int) -> sp.Expr:
    """∂y_1/∂λ_1·(λ'Σλ)^{3/2} − C_11 λ'Σλ + (Cλ)_1(Σλ)_1 for global whitening (T38)."""
    symmetric = [
        sp.Matrix(count, count, lambda i, j, n=n: sp.Symbol(f"{n}{min(i, j)}{max(i, j)}"))
        for n in "cs"
    ]
    weights = _vector("l", count)
    within, total = symmetric
    variance = sp.expand((weights.T * total * weights)[0])
    product, spread = (within * weights)[0], (total * weights)[0]
    # y = p·q^(−1/2): its derivative times q^(3/2) is p'q − p q'/2
    gain = sp.diff(product, weights[0]) * variance - product * sp.diff(variance, weights[0]) / 2
    return sp.expand(gain - within[0, 0] * variance + product * spread)

"""Contraction of gradient steps under smoothness and a Polyak–Łojasiewicz inequality (T41–T43).

Written for minimisation: |∇f|² ≥ 2μ(f − f*), f L-smooth but perhaps not convex, x⁺ = x − γ∇f(x).
For ascent on J read f = −J.
"""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError

Number = Tensor | float


def classic_rate(mu: Number, smoothness: Number, step: Number) -> Tensor:
    """Polyak's factor q = 1 − μγ(2 − Lγ): δ⁺ ≤ q·δ for 0 ≤ γ ≤ 2/L (T41).

    Args:
        mu: PL constant μ, 0 < μ ≤ L; tensors of all three arguments broadcast.
        smoothness: L.
        step: γ, in units of 1/L.

    Raises:
        CovlawError: unless 0 < μ ≤ L and 0 ≤ γ ≤ 2/L.
    """
    ratio, length = _normalised(mu, smoothness, step)
    return 1 - ratio * length * (2 - length)


def improved_rate(mu: Number, smoothness: Number, step: Number) -> Tensor:
    r"""Return the smaller factor that the interpolation inequality of smooth functions gives (T41).

    With k = μ/L and g = Lγ (Abbaszadehpeivasti, de Klerk & Zamani 2023, Optim. Lett., Theorem 3):

        g ≤ 1:       ([k(1 − g) + √(4 − 2k(1 + k)g(2 − g))] / (2 + k))²
        1 ≤ g ≤ √3:  1 − kg(4 − g²)/(2 + kg);   at γ = 1/L: (2L − 2μ)/(2L + μ)
        g ≥ √3:      (g − 1)²/((g − 1)² + kg(2 − g))

    Derived anew, with multipliers for each range that SymPy checks (`symbolic_pl`). It is the best
    factor that smoothness and PL at x and x⁺ imply, yet a little above the true worst case.

    Arguments and errors as `classic_rate`.
    """
    k, g = _normalised(mu, smoothness, step)
    shrink = g * (2 - g)
    short = ((k * (1 - g) + (4 - 2 * k * (1 + k) * shrink).sqrt()) / (2 + k)).square()
    middle = 1 - k * g * (4 - g.square()) / (2 + k * g)
    overshoot = (g - 1).square()
    # where g is 1 the long form may be 0/0, and is not used
    long = overshoot / torch.where(g > 1, overshoot + k * shrink, 1.0)
    return torch.where(g <= 1, short, torch.where(g <= math.sqrt(3), middle, long))


def noise_floor(mu: Number, smoothness: Number, step: Number, variance: Number) -> Tensor:
    """Lγσ²/(2μ(2 − Lγ)): where E δ settles under unbiased gradient noise (T42).

    Attained by the quadratic with μ = L. Added to q^T·δ_0 it bounds E δ_T for every T.

    Args:
        mu: PL constant.
        smoothness: L.
        step: γ < 2/L.
        variance: σ² ≥ E|noise|², in units of |∇f|².

    Raises:
        CovlawError: as `classic_rate`; also at γ = 2/L, where nothing contracts, and for σ² < 0.
    """
    ratio, length = _normalised(mu, smoothness, step)
    spread = as_float64(variance, "variance")
    if bool((spread < 0).any()) or bool((length >= 2).any()):
        raise CovlawError(
            "a noise floor needs a variance ≥ 0 and a step below 2/L: shorten the step"
        )
    return length * spread / (2 * ratio * as_float64(smoothness, "smoothness") * (2 - length))


def noisy_gap_bound(
    initial: Number,
    steps: int,
    mu: Number,
    smoothness: Number,
    step: Number,
    variance: Number,
) -> Tensor:
    """q^T·δ_0 + (1 − q^T)·floor ≥ E δ_T: T noisy steps of one length (T42).

    Args:
        initial: δ_0 = f(x_0) − f*.
        steps: T.
        mu: PL constant.
        smoothness: L.
        step: γ.
        variance: σ².

    Raises:
        CovlawError: as `noise_floor`.
    """
    kept = classic_rate(mu, smoothness, step) ** steps
    floor = noise_floor(mu, smoothness, step, variance)
    return kept * as_float64(initial, "initial") + (1 - kept) * floor


def drift_bound(initial: Tensor, rates: Tensor, drifts: Tensor) -> Tensor:
    """Bound δ_t = max_θ λ_t·J − λ_t·J(θ_t) while the weights λ_t move (T43).

    δ_{t+1} ≤ q_t δ_t + (λ_{t+1} − λ_t)·(J(θ*_{t+1}) − J(θ_{t+1})), unrolled.

    Args:
        initial: (...) δ_0.
        rates: (..., T) contraction q_t of the step taken under λ_t.
        drifts: (..., T) the second term, or a bound on it such as |λ_{t+1} − λ_t|_1·G with G the
            largest |J_j(θ*_t) − J_j(θ_t)|.

    Returns:
        (..., T): bounds on δ_1 … δ_T.
    """
    bounds = [initial]
    for rate, drift in zip(rates.unbind(-1), drifts.unbind(-1), strict=True):
        bounds.append(rate * bounds[-1] + drift)
    return torch.stack(bounds[1:], -1)


def _normalised(mu: Number, smoothness: Number, step: Number) -> tuple[Tensor, Tensor]:
    """Return μ/L and Lγ, validated."""
    low, high = as_float64(mu, "mu"), as_float64(smoothness, "smoothness")
    ratio, length = low / high, as_float64(step, "step") * high
    edge = 1 + 8 * torch.finfo(torch.float64).eps  # μ = L and γ = 2/L, each rounded
    if not bool(((ratio > 0) & (ratio <= edge)).all()):
        raise CovlawError(f"PL constant {mu} with smoothness {smoothness}: use 0 < μ ≤ L")
    if not bool(((length >= 0) & (length <= 2 * edge)).all()):
        raise CovlawError(f"step {step} with smoothness {smoothness}: use 0 ≤ γ ≤ 2/L")
    return ratio.clamp(max=1.0), length.clamp(max=2.0)

"""SymPy derivations for the tilt: each residual is 0 if and only if the identity holds (T1, T2).

With given arms everything is rational in the arms' e^{ηs}, which `cancel` decides.
"""

from typing import Any

import sympy as sp

_ETA = sp.Symbol("eta", real=True)
_N, _K = sp.Symbol("n", integer=True, positive=True), sp.Symbol("k", integer=True)
_PI, _R, _S = (sp.IndexedBase(name, real=True)[_K] for name in ("pi", "r", "s"))


def derivative_residual(at_zero: bool = False) -> Any:
    """dJ/dη − Cov_η(r, s), three arms; `at_zero` takes the covariance at η = 0 instead (false)."""
    probability, rewards, scores = _arms(3)
    tilted = _tilt(probability, scores)
    covariance = _covariance(tilted, rewards, scores)
    covariance = covariance.subs(_ETA, 0) if at_zero else covariance
    return sp.cancel(sp.diff(_mean(tilted, rewards), _ETA) - covariance)


def derivative_residual_any_arms(centred: bool = True) -> Any:
    """The same for n arms, differentiating the sums term by term; uncentred it is false."""
    product_of_means = _total(_R) * _total(_S) / _total(1) ** 2 if centred else 0
    covariance = _total(_R * _S) / _total(1) - product_of_means
    return sp.simplify(sp.diff(_total(_R) / _total(1), _ETA) - covariance)


def finite_residual(normalised: bool = True) -> Any:
    """E_η r − E r − Cov(r, e^{ηs})/E e^{ηs}, three arms; without the normaliser it is false."""
    probability, rewards, scores = _arms(3)
    weights = [sp.exp(_ETA * s) for s in scores]
    scale = _mean(probability, weights) if normalised else 1
    change = _mean(_tilt(probability, scores), rewards) - _mean(probability, rewards)
    return sp.cancel(change - _covariance(probability, rewards, weights) / scale)


def integral_residual() -> tuple[Any, Any]:
    """d/dη [Cov(r, e^{ηs})/E e^{ηs}] − Cov_η(r, s), and the bracket's value at η = 0.

    Both 0: the bracket is the integral of Cov_t(r, s) from 0 to η.
    """
    probability, rewards, scores = _arms(3)
    weights = [sp.exp(_ETA * s) for s in scores]
    finite = _covariance(probability, rewards, weights) / _mean(probability, weights)
    rate = _covariance(_tilt(probability, scores), rewards, scores)
    return sp.cancel(sp.diff(finite, _ETA) - rate), sp.cancel(finite.subs(_ETA, 0))


def finite_residual_any_arms(normalised: bool = True) -> tuple[Any, Any]:
    """Both residuals for n arms: Δ less the quotient, and d/dη of the quotient less Cov_η.

    Σ π = 1 enters only in writing E_π as the plain sum, so it need not be imposed.
    """
    mean, weight = _total(_R).subs(_ETA, 0), _total(1)
    finite = (_total(_R) - mean * weight) / (weight if normalised else 1)
    change = _total(_R) / weight - mean
    covariance = _total(_R * _S) / weight - _total(_R) * _total(_S) / weight**2
    return sp.expand(change - finite), sp.expand(sp.diff(finite, _ETA) - covariance)


def _total(value: Any) -> Any:
    """Σ_{k=1}^{n} π_k e^{ηs_k}·value_k."""
    return sp.Sum(_PI * sp.exp(_ETA * _S) * value, (_K, 1, _N))


def _arms(count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Probabilities that sum to 1, rewards and scores."""
    free = sp.symbols(f"p1:{count}", positive=True)
    rewards = sp.symbols(f"r1:{count + 1}", real=True)
    scores = sp.symbols(f"s1:{count + 1}", real=True)
    return [*free, 1 - sum(free)], list(rewards), list(scores)


def _tilt(probability: list[Any], scores: list[Any]) -> list[Any]:
    weights = [p * sp.exp(_ETA * s) for p, s in zip(probability, scores, strict=True)]
    return [w / sum(weights) for w in weights]


def _mean(probability: list[Any], values: list[Any]) -> Any:
    return sum(p * v for p, v in zip(probability, values, strict=True))


def _covariance(probability: list[Any], first: list[Any], second: list[Any]) -> Any:
    means = _mean(probability, first), _mean(probability, second)
    products = [(a - means[0]) * (b - means[1]) for a, b in zip(first, second, strict=True)]
    return _mean(probability, products)

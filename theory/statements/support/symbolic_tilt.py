"""SymPy derivations for the tilt: each residual is 0 if and only if the identity holds (T1, T2)."""

from typing import Any

import sympy as sp

_ETA = sp.Symbol("eta", real=True)


def derivative_residual(at_zero: bool = False) -> Any:
    """dJ/dη − Cov_η(r, s), three arms; `at_zero` takes the covariance at η = 0 instead (false)."""
    probability, rewards, scores = _arms(3)
    tilted = _tilt(probability, scores)
    covariance = _covariance(tilted, rewards, scores)
    covariance = covariance.subs(_ETA, 0) if at_zero else covariance
    return sp.simplify(sp.diff(_mean(tilted, rewards), _ETA) - covariance)


def derivative_residual_any_arms(centred: bool = True) -> Any:
    """The same for n arms, differentiating the sums term by term; uncentred it is false."""
    n, k = sp.Symbol("n", integer=True, positive=True), sp.Symbol("k", integer=True)
    pi, r, s = (sp.IndexedBase(name, real=True)[k] for name in ("pi", "r", "s"))
    weight = pi * sp.exp(_ETA * s)

    def total(value: Any) -> Any:
        return sp.Sum(weight * value, (k, 1, n))

    partition = sp.Sum(weight, (k, 1, n))
    product_of_means = total(r) * total(s) / partition**2 if centred else 0
    covariance = total(r * s) / partition - product_of_means
    return sp.simplify(sp.diff(total(r) / partition, _ETA) - covariance)


def finite_residual(normalised: bool = True) -> Any:
    """E_η r − E r − Cov(r, e^{ηs})/E e^{ηs}, three arms; without the normaliser it is false."""
    probability, rewards, scores = _arms(3)
    weights = [sp.exp(_ETA * s) for s in scores]
    scale = _mean(probability, weights) if normalised else 1
    change = _mean(_tilt(probability, scores), rewards) - _mean(probability, rewards)
    return sp.simplify(change - _covariance(probability, rewards, weights) / scale)


def integral_residual() -> tuple[Any, Any]:
    """d/dη [Cov(r, e^{ηs})/E e^{ηs}] − Cov_η(r, s), and the bracket's value at η = 0.

    Both 0: the bracket is the integral of Cov_t(r, s) from 0 to η.
    """
    probability, rewards, scores = _arms(3)
    weights = [sp.exp(_ETA * s) for s in scores]
    finite = _covariance(probability, rewards, weights) / _mean(probability, weights)
    rate = _covariance(_tilt(probability, scores), rewards, scores)
    return sp.simplify(sp.diff(finite, _ETA) - rate), sp.simplify(finite.subs(_ETA, 0))


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

"""SymPy derivations of part G: 0 if and only if the claim holds (T52, T53, T55)."""

from itertools import product
from typing import Any

import sympy as sp


def sampler_residual(baseline: str = "sampler") -> Any:
    """Cov_π(r, A·μ/π) − Cov_μ(r, s) of three arms, A = s − E_μ s; false for E_π s as the baseline.

    Cov_π(r, f) is the rate of E_π r along the tilt of π by f (T1).
    """
    pi, mu = ((a, b, 1 - a - b) for a, b in (sp.symbols("p q"), sp.symbols("u v")))
    r, s = sp.symbols("r1:4"), sp.symbols("s1:4")
    own = mu if baseline == "sampler" else pi
    advantage = [value - _mean(own, s) for value in s]
    # π·(A·μ/π) = μ·A, so that no division is left
    moved = _mean(mu, [a * b for a, b in zip(r, advantage, strict=True)])
    moved -= _mean(pi, r) * _mean(mu, advantage)
    law = _mean(mu, [a * b for a, b in zip(r, s, strict=True)]) - _mean(mu, r) * _mean(mu, s)
    return sp.expand(moved - law)


def _mean(policy: Any, values: Any) -> Any:
    return sum(p * value for p, value in zip(policy, values, strict=True))


def kept_pairs_residual(kept: str = "score") -> Any:
    """E over pairs of (r − r')(s − s')/2·1[kept] − Cov(r, s), s = (a, a, b); false for "never".

    With `kept` "first reward equal" dropped pairs are those of equal r, which is 0 as well only
    where r is the score; "other" drops the pairs of arms 1 and 3.
    """
    p, q, a, b = sp.symbols("p q a b", real=True)
    policy, score = (p, q, 1 - p - q), (a, a, b)
    reward = sp.symbols("r1:4", real=True)
    total = sum(
        policy[i] * policy[j] * (reward[i] - reward[j]) * (score[i] - score[j]) / 2
        for i, j in product(range(3), repeat=2)
        if (score[i] != score[j] if kept == "score" else {i, j} == {1, 2})
    )
    mean = [sum(w * v for w, v in zip(policy, values, strict=True)) for values in (reward, score)]
    law = sum(w * r * s for w, r, s in zip(policy, reward, score, strict=True)) - mean[0] * mean[1]
    return sp.expand(total - law)


def kl_residuals(swapped: bool = False) -> list[tuple[str, Any]]:
    """d k/d log π + signal, signals −1, −d and e^{−d} − 1, d = log π − log π_ref.

    `swapped` gives k3 the signal of k2, which is false.
    """
    d = sp.symbols("d", real=True)
    forms = {"k1": d, "k2": d**2 / 2, "k3": sp.exp(-d) - 1 + d}
    signals = {"k1": -sp.Integer(1), "k2": -d, "k3": -d if swapped else sp.exp(-d) - 1}
    return [(name, sp.simplify(sp.diff(form, d) + signals[name])) for name, form in forms.items()]

"""SymPy derivations of part G: 0 if and only if the claim holds (T53, T55)."""

from itertools import product
from typing import Any

import sympy as sp


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

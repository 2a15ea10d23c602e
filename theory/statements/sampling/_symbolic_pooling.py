"""SymPy derivations across prompts: 0 if and only if the claim holds (T22)."""

from itertools import chain
from typing import Any

import sympy as sp


def pooling_residual(prompts: int, arms: int, with_means: bool = True) -> Any:
    """Cov(r, s) − E_x Cov_x(r, s) − Cov(E_x r, E_x s); without the last term it is false."""
    share = _probabilities("d", prompts)
    policies = [_probabilities(f"p{x}", arms) for x in range(prompts)]
    rewards, scores = ([_values(f"{n}{x}", arms) for x in range(prompts)] for n in "rs")
    joint = [d * p for d, policy in zip(share, policies, strict=True) for p in policy]
    pooled = _covariance(joint, list(chain(*rewards)), list(chain(*scores)))
    within = [_covariance(*row) for row in zip(policies, rewards, scores, strict=True)]
    means = [
        [_mean(p, v) for p, v in zip(policies, values, strict=True)] for values in (rewards, scores)
    ]
    between = _covariance(share, *means) if with_means else 0
    return sp.expand(pooled - _mean(share, within) - between)


def _probabilities(name: str, count: int) -> list[Any]:
    free = sp.symbols(f"{name}_1:{count}", positive=True)
    return [*free, 1 - sum(free)]


def _values(name: str, count: int) -> list[Any]:
    return list(sp.symbols(f"{name}_1:{count + 1}", real=True))


def _mean(probability: list[Any], values: list[Any]) -> Any:
    return sum(p * v for p, v in zip(probability, values, strict=True))


def _covariance(probability: list[Any], first: list[Any], second: list[Any]) -> Any:
    products = [a * b for a, b in zip(first, second, strict=True)]
    return _mean(probability, products) - _mean(probability, first) * _mean(probability, second)

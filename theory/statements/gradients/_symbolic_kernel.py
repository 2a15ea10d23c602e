"""SymPy derivations of the tabular policy-gradient kernel (T11): 0 if and only if it holds.

The softmax is written in x_i = e^{z_i} > 0, so that ∂/∂z_i = x_i·∂/∂x_i and everything is rational.
"""

from collections.abc import Sequence
from typing import Any

import sympy as sp


def one_prompt_residual(arms: int, power: int = 2) -> Any:
    """⟨∇J_r, ∇J_s⟩ − Σ π^power A_r A_s, one prompt; false for power 1 (the covariance)."""
    prompt = _Prompt(arms, "")
    return sp.cancel(
        _alignment(prompt.value(prompt.r), prompt.value(prompt.s), prompt.x) - prompt.kernel(power)
    )


def any_arms_residual(power: int = 2) -> Any:
    """The j-th term of ⟨∇J_r, ∇J_s⟩ − Σ_j π_j^power A_r A_s, n arms; false for power 1."""
    n, i, j = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "i", "j"))
    x, r, s = (sp.IndexedBase(name, real=True) for name in ("x", "r", "s"))
    total = sp.Sum(x[i], (i, 1, n))
    kernel, alignment = (x[j] / total) ** power, x[j] ** 2
    for values in (r, s):
        mean = sp.Sum(x[i] * values[i], (i, 1, n)) / total
        slope = sp.refine(sp.diff(mean, x[j]).doit(), sp.Q.ge(n, j))  # arm j is one of the n
        kernel, alignment = kernel * (values[j] - mean), alignment * slope
    return sp.expand(alignment - kernel)


def two_arm_residual(factor: int = 2) -> Any:
    """⟨∇J_r, ∇J_s⟩ − factor·p(1−p)·Cov(r, s), two arms; false unless factor is 2."""
    prompt = _Prompt(2, "")
    p = prompt.policy[0]
    alignment = _alignment(prompt.value(prompt.r), prompt.value(prompt.s), prompt.x)
    return sp.cancel(alignment - factor * p * (1 - p) * prompt.kernel(1))


def two_prompt_residual(power: int = 2) -> Any:
    """⟨∇J_r, ∇J_s⟩ − Σ_x D^power Σ π² A_r A_s, D = (d, 1 − d), two arms; false for power 1."""
    prompts = (_Prompt(2, "a"), _Prompt(2, "b"))
    d = sp.Symbol("d", positive=True)
    weighted = list(zip((d, 1 - d), prompts, strict=True))
    rewards = sum(mass * prompt.value(prompt.r) for mass, prompt in weighted)
    scores = sum(mass * prompt.value(prompt.s) for mass, prompt in weighted)
    kernel = sum(mass**power * prompt.kernel(2) for mass, prompt in weighted)
    logits = (*prompts[0].x, *prompts[1].x)
    return sp.cancel(_alignment(rewards, scores, logits) - kernel)


def _alignment(first: Any, second: Any, x: Sequence[Any]) -> Any:
    """⟨∇_z first, ∇_z second⟩ with x = e^z."""
    return sum(x_i**2 * sp.diff(first, x_i) * sp.diff(second, x_i) for x_i in x)


class _Prompt:
    """A softmax over `arms` logits with symbolic rewards r and scores s."""

    def __init__(self, arms: int, label: str) -> None:
        self.x = sp.symbols(f"x{label}1:{arms + 1}", positive=True)
        self.r = sp.symbols(f"r{label}1:{arms + 1}", real=True)
        self.s = sp.symbols(f"s{label}1:{arms + 1}", real=True)
        self.policy = [x / sum(self.x) for x in self.x]

    def value(self, values: Sequence[Any]) -> Any:
        """E_π of `values`."""
        return sum(p * v for p, v in zip(self.policy, values, strict=True))

    def kernel(self, power: int) -> Any:
        """Σ π^power A_r A_s."""
        means = self.value(self.r), self.value(self.s)
        rows = zip(self.policy, self.r, self.s, strict=True)
        return sum(p**power * (r - means[0]) * (s - means[1]) for p, r, s in rows)

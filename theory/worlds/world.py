"""A world small enough to enumerate: a differentiable policy with all its completions listed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vjp

from covlaw.theory.estimators.rollouts import Rollouts


@dataclass(frozen=True, eq=False)
class World:
    """A parametrised policy on completions that are all listed: what the exact rungs produce.

    Args:
        label: Short name for notes and tables.
        prompt: (N,) integer prompt ids.
        rewards: (N, M) float64.
        names: M objective names.
        theta: (D,) float64 parameters of the current policy.
        log_prob: θ (D,) → (N,) log π_θ(y|x), differentiable in forward and reverse mode; the
            completions of a prompt sum to 1.
        prompt_mass: (P,) or None for uniform.
        tabular: whether θ holds one free logit a completion (the full tabular softmax), so that
            a natural-gradient step *is* the exponential tilt.
        depth: roundings inside one log-prob (length × layers × width); scales tolerances.
    """

    label: str
    prompt: Tensor
    rewards: Tensor
    names: Sequence[str]
    theta: Tensor
    log_prob: Callable[[Tensor], Tensor]
    prompt_mass: Tensor | None = None
    tabular: bool = False
    depth: int = 64
    cache: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def rollouts(self, theta: Tensor | None = None) -> Rollouts:
        """All completions with their probabilities under θ (default: the current policy)."""
        mass = self.log_prob_at(theta).exp()
        return Rollouts(self.prompt, self.rewards, self.names, mass, self.prompt_mass)

    def log_prob_at(self, theta: Tensor | None = None) -> Tensor:
        """log π_θ(y|x), (N,), without a graph; kept for the current policy."""
        if theta is not None:
            with torch.no_grad():
                return self.log_prob(theta)
        if "log_prob" not in self.cache:
            self.cache["log_prob"] = self.log_prob_at(self.theta)
        return self.cache["log_prob"]

    def directional(self, direction: Tensor, theta: Tensor | None = None) -> Tensor:
        """⟨∇log π(y|x), v⟩ for every completion: (N,), one forward-mode pass."""
        at = self.theta if theta is None else theta
        derivative: Tensor = jvp(self.log_prob, (at,), (direction,))[1]
        return derivative

    def score_sum(self, weight: Tensor, theta: Tensor | None = None) -> Tensor:
        """Σ_y weight(y) ∇log π(y|x): (D,), one backward pass."""
        at = self.theta if theta is None else theta
        gradient: Tensor = vjp(self.log_prob, at)[1](weight)[0]
        return gradient

    def scores(self) -> Tensor:
        """∇log π of every completion: (N, D); for small worlds only."""
        if "scores" not in self.cache:
            self.cache["scores"] = jacrev(self.log_prob, chunk_size=64)(self.theta)
        return self.cache["scores"]

    def row_weight(self, mass: Tensor | None = None) -> Tensor:
        """D(x)·π(y|x) of every completion (N,): the weights of E_x E_π."""
        prompts, index = torch.unique(self.prompt, return_inverse=True)
        uniform = torch.full((prompts.shape[0],), 1 / prompts.shape[0], dtype=torch.float64)
        prompt_mass = uniform if self.prompt_mass is None else self.prompt_mass
        return prompt_mass[index] * (self.log_prob_at().exp() if mass is None else mass)

    def value(self, theta: Tensor | None = None) -> Tensor:
        """J_j(θ) = E_x E_π r_j by plain summation: (M,)."""
        return self.row_weight(self.log_prob_at(theta).exp()) @ self.rewards

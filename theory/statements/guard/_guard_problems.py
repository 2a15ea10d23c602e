"""Steps with the gradients and the metric that a guard meets, and what rounding does to them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.guard.products import effects_of, gramian_of, squared_length
from covlaw.theory.solvers.least_change import LeastChange, least_change
from covlaw.theory.worlds.world import World

NO_GRADIENTS_IN_AN_LLM = (
    "an LLM's expected policy gradients cannot be enumerated: its guards are judged by their audits"
)


class GuardProblem(NamedTuple):
    """What a guard is given."""

    step: Tensor
    """(D,) u."""
    gradients: Tensor
    """(M, D) ∇J_j, exact."""
    metric: Tensor
    """(D,) P."""

    def gramian(self) -> Tensor:
        """G_jk = g_j'P g_k: (M, M)."""
        return gramian_of(self.gradients, self.gradients, self.metric)

    def effects(self, step: Tensor | None = None) -> Tensor:
        """g_j·u, or of another step: (M,)."""
        return effects_of(self.gradients, self.step if step is None else step)

    def length(self, step: Tensor) -> Tensor:
        """|v|² in the metric: ()."""
        return squared_length(step, self.metric)

    def solve(self, floor: Tensor) -> LeastChange:
        """The programme of T58 for these floors."""
        return least_change(self.gramian(), self.effects(), floor)

    def moved(self, weights: Tensor) -> Tensor:
        """u + P Σ_k μ_k g_k."""
        return self.step + self.metric * (weights @ self.gradients)

    def size(self, weights: Tensor) -> Tensor:
        """|u| + Σ_k μ_k|g_k|: what a corrected step is made of, ()."""
        norm = self.gramian().diagonal().clamp(min=0.0).sqrt()
        return self.length(self.step).sqrt() + weights @ norm

    def effect_rounding(self, weights: Tensor) -> Tensor:
        """Bound the rounding of g_j·u*, the programme's own gap included: (M,)."""
        norm = self.gramian().diagonal().clamp(min=0.0).sqrt()
        return rounding(norm * self.size(weights), self.operations())

    def length_rounding(self, weights: Tensor) -> Tensor:
        """Bound the rounding of |u*|² and of products with it: ()."""
        return rounding(self.size(weights).square(), self.operations())

    def operations(self) -> int:
        """Roundings of a sum over D coordinates, of M terms, at M tight floors."""
        count, size = self.gradients.shape
        return 16 * (size + 4 * count * count) + 256


def drawn_problem(world: World, rng: np.random.Generator) -> GuardProblem:
    """The world's gradients, a metric as wide as Adam's, and a step that lowers some objective."""
    gradients = value_gradients(world, world.rewards)
    size = gradients.shape[1]
    metric = torch.as_tensor(10 ** rng.uniform(-1.5, 1.5, size=size))
    norm = gramian_of(gradients, gradients, metric).diagonal().clamp(min=0.0).sqrt()
    pull = torch.as_tensor(rng.normal(size=len(gradients))) / torch.where(norm > 0, norm, 1.0)
    noise = metric.sqrt() * torch.as_tensor(rng.normal(size=size) / np.sqrt(size))
    return GuardProblem(metric * (pull @ gradients) + 0.5 * noise, gradients, metric)


def drawn_floors(problem: GuardProblem, rng: np.random.Generator) -> Tensor:
    """Floors at 0, or below it by shares of what each gradient could do: (M,)."""
    reach = problem.gramian().diagonal().clamp(min=0.0).sqrt() * problem.length(problem.step).sqrt()
    share = torch.as_tensor(rng.uniform(0, 0.5, size=len(reach)))
    return -share * reach if rng.integers(2) else torch.zeros_like(reach)

"""Real optimisers on the real module: what they make of a gradient, and PPO's inner iterates."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad

from covlaw.theory.estimators.budget import deviation
from covlaw.theory.geometry.natural_gradient import dense_natural_step
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses.clipping import clipped_surrogate
from covlaw.theory.worlds.updates import Step
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.float64_model import FlatModel
from covlaw.toys.transformer.worlds import TransformerWorld

MakeOptimiser = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Clip = tuple[float, float, float | None]


@dataclass(frozen=True, eq=False)
class ModuleOptimiser:
    """A `torch.optim` optimiser on the module's own parameters; a `Step` without side effects.

    Args:
        model: The model; its parameters are overwritten on every call.
        make: Builds the optimiser, e.g. `lambda p: torch.optim.AdamW(p, lr=1e-3)`.
        theta: (D,) parameters that the next step starts from.
        state: The optimiser's memory (momentum, …); None: fresh.
    """

    model: FlatModel
    make: MakeOptimiser
    theta: Tensor
    state: dict[Any, Any] | None = None

    def __call__(self, gradient: Tensor) -> Tensor:
        """Realised change u (D,) on an ascent gradient (D,), weight decay and all."""
        return self.advance(gradient).theta - self.theta

    def advance(self, gradient: Tensor) -> "ModuleOptimiser":
        """Take the step and keep the optimiser's memory of it."""
        parameters = list(self.model.module.parameters())
        optimiser = self.make(parameters)
        if self.state is not None:  # the memory only: rates are those of `make`
            fresh = optimiser.state_dict()
            optimiser.load_state_dict(fresh | {"state": copy.deepcopy(self.state)})
        values, slopes = self.model.split(self.theta), self.model.split(-gradient)
        for parameter, value, slope in zip(parameters, values, slopes, strict=True):
            parameter.data.copy_(value)
            parameter.grad = slope.clone()
        optimiser.step()
        state = copy.deepcopy(optimiser.state_dict()["state"])
        return replace(self, theta=self.model.theta, state=state)


def sgd(rate: float) -> MakeOptimiser:
    """Plain SGD."""
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def adamw(rate: float, weight_decay: float = 0.01) -> MakeOptimiser:
    """AdamW with the momenta of `torch`'s defaults."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay)


def natural(world: World, rate: float) -> Step:
    """η·F⁺ĝ, F the Fisher matrix of the enumerated policy; for small worlds (T12)."""
    return lambda gradient: rate * dense_natural_step(world, gradient)


def warmed_up(
    start: TransformerWorld, score: Tensor, make: MakeOptimiser, steps: int, drift: float
) -> tuple[TransformerWorld, ModuleOptimiser]:
    """Train a little, so that the policy is not the one that sampled and momenta are not empty.

    Args:
        start: The first policy.
        score: (N,) s.
        make: The optimiser whose memory is warmed up by the gradients on the way.
        steps: SGD steps along the exact gradient of E s.
        drift: Standard deviation of the change of log π in each (to first order).

    Returns:
        The world after the steps, and the optimiser, ready for the next one.
    """
    theta, memory = start.world.theta, ModuleOptimiser(start.model, make, start.world.theta)
    for _ in range(steps):
        world = start.at(theta).world
        gradient = world.score_sum(world.row_weight() * centred_score(world, score))
        slope = float(deviation(world.directional(gradient), *world.rollouts().groups))
        memory = memory.advance(gradient)
        rate = sgd(drift / slope if slope > 0 else 0.0)
        theta = ModuleOptimiser(start.model, rate, theta).advance(gradient).theta
    return start.at(theta), replace(memory, theta=theta)


def clipped_ascent(
    world: World, advantage: Tensor, clip: Clip, optimiser: ModuleOptimiser
) -> Iterator[Tensor]:
    """Yield θ (D,) after each inner step of PPO's clipped objective, without end.

    Ascent on E_old[min(ρA, clip(ρ)A)] (Schulman et al. 2017, eq. 7), π_old the world's policy,
    differentiated by autograd through the model.
    """
    old, weight = world.log_prob_at(), world.row_weight()

    def objective(theta: Tensor) -> Tensor:
        log_ratio = world.log_prob(theta) - old
        return (weight * clipped_surrogate(advantage, log_ratio, *clip)).sum()

    gradient = grad(objective)
    while True:
        optimiser = optimiser.advance(gradient(optimiser.theta))
        yield optimiser.theta

"""One policy update seen from the old policy's completions: exact in a world, sampled in an LLM."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.losses import effective_weight
from covlaw.theory.worlds.world import World

Step = Callable[[Tensor], Tensor]
"""An optimiser: ascent gradient (D,) → realised parameter change u (D,)."""


@dataclass(frozen=True, eq=False)
class Update:
    """π_old → π_new with what the covariance law says of it.

    Args:
        label: What made it, e.g. "AdamW, lr 1e-2" or "linear seed 0 step 20".
        rollouts: π_old's completions, enumerated or sampled apart from those of the update.
        fields: The score-field chain on them (T9).
        change: (M,) realised change of each objective, measured without any covariance:
            by enumeration, or on fresh samples of both policies.
        change_error: (M,) standard error of `change`; 0 where it is exact.
    """

    label: str
    rollouts: Rollouts
    fields: ScoreFields
    change: Tensor
    change_error: Tensor


@dataclass(frozen=True, eq=False)
class InnerStep:
    """A clipped inner step: π_θ after some steps away from the behaviour policy π_old (part B).

    Args:
        label: Where it comes from.
        rollouts: π_old's completions, enumerated or sampled.
        advantage: (N,) A, computed from π_old.
        log_ratio: (N,) log π_θ − log π_old.
        clip_low: Lower range.
        clip_high: Upper range.
        dual_clip: Bound on ρ where A < 0, or None.
    """

    label: str
    rollouts: Rollouts
    advantage: Tensor
    log_ratio: Tensor
    clip_low: float = 0.2
    clip_high: float = 0.2
    dual_clip: float | None = None

    @property
    def clip(self) -> tuple[float, float, float | None]:
        """`(clip_low, clip_high, dual_clip)`."""
        return self.clip_low, self.clip_high, self.dual_clip

    @property
    def weight(self) -> Tensor:
        """W = ρ·A·1[not clipped], (N,)."""
        return effective_weight(self.advantage, self.log_ratio, None, *self.clip)


@dataclass(frozen=True, eq=False)
class UpdateRecipe:
    """How to make an exact update: everything but the world.

    Args:
        label: Short name of the optimiser and its rate.
        step: Optimiser.
        learning_rate: η of the chain.
        behaviour: θ (D,) of the policy that sampled the batch; None: the current one.
        completions: K samples a prompt for the batch gradient; None: the exact gradient.
        clip: `(clip_low, clip_high, dual_clip)`.
    """

    label: str
    step: Step
    learning_rate: float
    behaviour: Tensor | None = None
    completions: int | None = 16
    clip: tuple[float, float, float | None] = (0.2, 0.2, None)


def exact_update(
    world: World, score: Tensor, recipe: UpdateRecipe, rng: np.random.Generator
) -> Update:
    """Carry out one update of an enumerated world and return its full chain (T9).

    Args:
        world: The policy before the update, π_old = π_{θ0}.
        score: (N,) s on every completion.
        recipe: Optimiser, rate, behaviour policy, batch size and clip.
        rng: Draws the batch.
    """
    current, rate = world.log_prob_at(), recipe.learning_rate
    behaviour = current if recipe.behaviour is None else world.log_prob_at(recipe.behaviour)
    batch_weight = world.row_weight(behaviour.exp())
    advantage = _centre(world, score, current)
    weight = effective_weight(
        _centre(world, score, behaviour), current - behaviour, None, *recipe.clip
    )
    gradient = world.score_sum(world.row_weight() * advantage)
    clipped = world.score_sum(batch_weight * weight)
    frequency = _draw(batch_weight, world.prompt, recipe.completions, rng)
    batch = world.score_sum(frequency * weight)
    step = recipe.step(batch)
    new = world.log_prob_at(world.theta + step)
    fields = ScoreFields(
        score,
        rate * world.directional(gradient),
        rate * world.directional(clipped),
        rate * world.directional(batch),
        world.directional(step),
        new - current,
    )
    change = (world.row_weight(new.exp()) - world.row_weight()) @ world.rewards
    return Update(
        f"{world.label}, {recipe.label}", world.rollouts(), fields, change, torch.zeros_like(change)
    )


def _centre(world: World, score: Tensor, log_prob: Tensor) -> Tensor:
    prompts, index = torch.unique(world.prompt, return_inverse=True)
    mean = score.new_zeros(prompts.shape[0]).index_add(0, index, log_prob.exp() * score)
    return score - mean[index]


def _draw(
    weight: Tensor, prompt: Tensor, completions: int | None, rng: np.random.Generator
) -> Tensor:
    """Frequencies of a sampled batch, scaled like `weight`: expectation `weight`."""
    if completions is None:
        return weight
    drawn = torch.zeros_like(weight)
    for x in torch.unique(prompt):
        rows = (prompt == x).nonzero()[:, 0]
        share = weight[rows].numpy()
        if not share.sum() > 0:
            continue  # a prompt of probability 0
        counts = rng.multinomial(completions, share / share.sum())
        drawn[rows] = torch.as_tensor(counts / completions * share.sum())
    return drawn

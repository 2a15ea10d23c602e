"""The scalarizer CTWA on a frozen policy: its own loop, fed the exact statistic (E1)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.ctwa_signals import SIGNALS
from covlaw.theory.headroom import Headroom, headroom, raw_headroom
from covlaw.theory.min_norm import min_norm_point
from covlaw.theory.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, make
from covlaw.theory.statements.scalarization.frozen_worlds import weights_of
from covlaw.theory.worlds import World

GAIN = 0.5
"""Largest η·∂y_j/∂u_j, and η·max c: small, as T37 wants (at 1 the loop may overshoot)."""

GRPO_SHARE = 0.125
"""Share of worlds whose signal is normalised prompt by prompt: their t* is slow to compute."""

CLEAR = 0.01
"""Least v*, relative to the variances, of a world that counts: towards 0 T35's assumption fails,
and the steps that a small gain allows become too many to wait for."""


class Frozen(NamedTuple):
    """A frozen world in units of each objective's own std, and how its scores are scaled."""

    covariances: PromptCovariances
    signal: str
    direction: Tensor
    """(M,) c, up to a factor."""
    room: Headroom
    gain: Tensor
    """() bound on ∂y_j/∂u_j."""
    error: Tensor
    """() bound on the rounding of y."""

    def step(self, target: Tensor) -> float:
        """η for these targets."""
        return GAIN / float(torch.maximum(self.gain, target.max()))


def run(frozen: Frozen, target: Tensor, required: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The scalarizer's own loop until every y_j ≥ required_j: (log-weights (M,), y (M,))."""
    names = [f"objective {j}" for j in range(len(target))]
    options = {"target": target.tolist(), "step": frozen.step(target), "ema": 1.0, "cap": 1e6}
    scalarizer = make("ctwa", names, **options)
    batch = Batch(torch.zeros(1, len(target), dtype=torch.float64), torch.zeros(1))
    state, observed = scalarizer.init(), torch.full_like(target, -torch.inf)
    for _ in range(steps):
        state, signal = scalarizer.signal(state, batch)
        observed = SIGNALS[frozen.signal](frozen.covariances, weights_of(signal))
        if bool((observed >= required).all()):
            break
        state = scalarizer.update(state, Observation(covariance=observed))
    return state.log_weights, observed


def frozen_at(world: World, rng: np.random.Generator) -> Frozen | None:
    """The world with random directions of targets; None where T35's assumption nearly fails."""
    mass, grpo = world.log_prob_at().exp(), rng.random() < GRPO_SHARE
    found = prompt_covariances(world.rewards, world.prompt, mass, world.prompt_mass)
    covariances = _in_own_units(found if grpo else _pooled(found))
    count = covariances.matrices.shape[-1]
    gain = _gain(covariances) if count else torch.tensor(torch.inf)
    if not bool(torch.isfinite(gain)):
        return None
    direction = torch.as_tensor(rng.uniform(0.5, 1.0, size=count))
    room = (headroom if grpo else _pooled_headroom)(covariances, direction)
    error = rounding(count / CLEAR, 16 * len(world.prompt) + 64)
    return Frozen(covariances, "grpo" if grpo else "pooled", direction, room, gain, error)


def _gain(covariances: PromptCovariances) -> Tensor:
    """E_x max_j Var_x(r_j)/√v*_x ≥ ∂y_j/∂u_j for weights that sum to 1; ∞ where v* is near 0.

    ∂y_j/∂u_j ≤ E_x λ_j Var_x(r_j)/sd_x(λ·r), and λ'C_xλ ≥ v*_x.
    """
    least = min_norm_point(covariances.matrices).value
    largest = covariances.matrices.diagonal(dim1=-2, dim2=-1).amax(-1)
    clear = least > CLEAR * largest
    per_prompt = largest / torch.where(clear, least, 1.0).sqrt()
    gain = (covariances.prompt_mass * per_prompt).sum()
    return gain if bool(clear.all()) else torch.full_like(gain, torch.inf)


def _in_own_units(found: PromptCovariances) -> PromptCovariances:
    """Of the rewards that vary, each divided by its mean within-prompt std."""
    noise = (found.prompt_mass[:, None] * found.noise).sum(0)
    live = found.mean_deviations() * CLEAR > noise
    unit = found.mean_deviations()[live]
    return PromptCovariances(
        found.matrices[:, live][:, :, live] / (unit[:, None] * unit),
        found.prompt_mass,
        found.means[:, live] / unit,
        found.noise[:, live] / unit,
    )


def _pooled(found: PromptCovariances) -> PromptCovariances:
    """All prompts as one, whose covariance matrix is C."""
    one, noise = torch.ones(1, dtype=torch.float64), found.noise.amax(0, keepdim=True)
    return PromptCovariances(found.within()[None], one, found.means[:1], noise)


def _pooled_headroom(covariances: PromptCovariances, direction: Tensor) -> Headroom:
    """T36 with one "prompt": t*² is the raw headroom, a min-norm problem."""
    room = raw_headroom(covariances.within(), direction)
    return Headroom(room.factor.sqrt(), room.lower.sqrt(), room.bundle)

"""What a scalarizer is given: asked for by name, refused when it is missing or not finite."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers.protocol import Batch, Observation


def given(value: Tensor | None, what: str, shape: tuple[int, ...], scalarizer: str) -> Tensor:
    """Return a field of `Batch` or `Observation` as float64.

    Raises:
        CovlawError: where it is missing, of another shape, or not finite.
    """
    if value is None:
        raise CovlawError(f"{scalarizer} needs {what}: the loop has to supply it")
    if tuple(value.shape) != shape:
        raise CovlawError(f"{scalarizer}: {what} has shape {tuple(value.shape)}, not {shape}")
    if not bool(torch.isfinite(value).all()):
        raise CovlawError(f"{scalarizer} needs finite {what}, got {value.flatten().tolist()[:8]}")
    return value.to(torch.float64)


def given_rewards(batch: Batch, count: int, scalarizer: str) -> Tensor:
    """Return the rewards (N, M), or (R, N, M) of R runs; errors as `given`."""
    return given(batch.rewards, "rewards", (*batch.rewards.shape[:-1], count), scalarizer)


def given_gramian(batch: Batch, count: int, scalarizer: str) -> Tensor:
    """Return the Gramian of the M policy gradients (M, M), or one a run; errors as `given`."""
    shape = (*batch.rewards.shape[:-2], count, count)
    return given(batch.gramian, "the gramian of the gradients", shape, scalarizer)


def weighted(rewards: Tensor, weights: Tensor) -> Tensor:
    """λ·r: rewards (N, M) and weights (M,) to (N,), or (R, N, M) and (R, M) to (R, N).

    Rewards may be of any real dtype; the score has that of the weights.
    """
    rewards = rewards.to(weights.dtype)
    if weights.ndim == 1:
        return rewards @ weights
    return (rewards @ weights[..., None])[..., 0]


def given_values(seen: Observation, count: int, scalarizer: str) -> Tensor:
    """Return the mean rewards seen after the step (M,); errors as `given`."""
    return given(seen.values, "values after each step", (count,), scalarizer)


def centred_rewards(rewards: Tensor, batch: Batch) -> Tensor:
    """A_j = r_j − E_x r_j under the batch's masses, or the prompt's mean of samples: (N, M)."""
    groups = by_prompt(batch.prompt)
    return groups.centre(rewards, groups.share(batch.mass))


def row_weight(batch: Batch) -> Tensor:
    """Weight of each completion in E_x E_π (N,) float64: of samples, each the same."""
    groups = by_prompt(batch.prompt)
    if batch.mass is None and batch.prompt_mass is None:
        rows = batch.prompt.shape[0]
        return torch.full((rows,), 1 / rows, dtype=torch.float64)
    count = groups.prompts.shape[0]
    even = torch.full((count,), 1 / count, dtype=torch.float64)
    outer = even if batch.prompt_mass is None else batch.prompt_mass.to(torch.float64)
    mass = None if batch.mass is None else batch.mass.to(torch.float64)
    return groups.share(mass) * groups.spread(outer)


def per_root_mean_square(advantage: Tensor, batch: Batch) -> Tensor:
    """An advantage (N,) in units of its root mean square over the batch; noise is left alone."""
    spread = (row_weight(batch) @ advantage.square()).sqrt()
    noise = rounding(advantage.abs().max(), 4 * advantage.shape[0])
    return advantage / torch.where(spread > noise, spread, 1.0)

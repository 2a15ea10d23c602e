"""The referee: tilted expectations by plain enumeration in NumPy, apart from every estimator."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.theory.worlds.world import World

Array = NDArray[np.inexact]

_COMPLEX_STEP = 1e-30


def tilted_value(world: World, values: Tensor, score: Tensor, eta: complex) -> Array:
    """E_x E_{π_η} r_j = Σ_x D(x) Σ_y π e^{ηs} r_j / Σ_y π e^{ηs}: (M,), complex for complex η."""
    prompts, index = np.unique(world.prompt.numpy(), return_inverse=True)
    s = score.numpy()
    top = np.full(len(prompts), -np.inf)
    np.maximum.at(top, index, np.real(eta) * s)
    weight = world.log_prob_at().exp().numpy() * np.exp(eta * s - top[index])
    total = np.zeros(len(prompts), weight.dtype)
    np.add.at(total, index, weight)
    mean = np.zeros((len(prompts), values.shape[1]), weight.dtype)
    np.add.at(mean, index, weight[:, None] * values.numpy())
    result: Array = _prompt_mass(world, len(prompts)) @ (mean / total[:, None])
    return result


def tilted_change(world: World, values: Tensor, score: Tensor, eta: float) -> Tensor:
    """Δ_j(η) = E_{π_η} r_j − E_π r_j: (M,)."""
    new, old = (tilted_value(world, values, score, e) for e in (eta, 0.0))
    return torch.as_tensor(new - old)


def tilted_derivative(world: World, values: Tensor, score: Tensor, eta: float) -> Tensor:
    """d/dη E_{π_η} r_j = Im J_j(η + ih)/h: (M,), exact to rounding since no difference is taken."""
    step = complex(eta, _COMPLEX_STEP)
    return torch.as_tensor(tilted_value(world, values, score, step).imag / _COMPLEX_STEP)


def enumerated_covariance(world: World, values: Tensor, score: Tensor) -> Tensor:
    """E_x[E_x(r_j s) − E_x r_j · E_x s]: (M,), by plain moments."""
    prompts, index = np.unique(world.prompt.numpy(), return_inverse=True)
    mass, s, r = world.log_prob_at().exp().numpy(), score.numpy(), values.numpy()
    moments = np.zeros((len(prompts), 2 + 2 * r.shape[1]))
    columns = np.column_stack([np.ones_like(s), s, r, r * s[:, None]])
    np.add.at(moments, index, mass[:, None] * columns)
    total, first, rest = moments[:, :1], moments[:, 1:2], moments[:, 2:]
    mean, cross = np.split(rest / total, 2, axis=1)
    return torch.as_tensor(_prompt_mass(world, len(prompts)) @ (cross - mean * first / total))


def _prompt_mass(world: World, prompts: int) -> Array:
    if world.prompt_mass is None:
        return np.full(prompts, 1 / prompts)
    return np.asarray(world.prompt_mass.numpy())

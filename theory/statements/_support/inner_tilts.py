"""The referee of inner steps: how values change as π_θ is tilted on, by plain enumeration."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.worlds.updates import InnerStep

IMAGINARY_STEP = 1e-100
"""Complex step: Im J(i·h)/h is the derivative, its truncation error O(h²) far below rounding."""


def inner_tilt_derivative(step: InnerStep, direction: np.ndarray) -> Tensor:
    """dJ_j/dη at η = 0 of π_η ∝ π_θ e^{η·direction}: (M,), prompt by prompt, in NumPy.

    Args:
        step: Enumerated; π_θ is π_old times its ratio.
        direction: (N,) what π_θ is tilted along.

    Raises:
        ValueError: for a step of samples.
    """
    rollouts = step.rollouts
    if rollouts.mass is None:
        raise ValueError("the tilt of a sampled policy cannot be enumerated")
    moved = np.exp(step.log_ratio.numpy() + 1j * IMAGINARY_STEP * direction)
    tilted, prompt = rollouts.mass.numpy() * moved, rollouts.prompt.numpy()
    ids, outer = np.unique(prompt), rollouts.prompt_mass
    share = np.full(len(ids), 1 / len(ids)) if outer is None else outer.numpy()
    value = np.zeros(rollouts.rewards.shape[1], dtype=complex)
    for x, weight in zip(ids, share, strict=True):
        policy = tilted[prompt == x]
        value += weight * (policy / policy.sum()) @ rollouts.rewards.numpy()[prompt == x]
    return torch.as_tensor(value.imag / IMAGINARY_STEP)

"""A policy with more completions than a dense Jacobian is computed for."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.worlds.world import World


def big_world() -> World:
    """A two-layer policy of 3,000 completions: too many for dense Jacobians."""
    rng = np.random.default_rng(0)
    features = torch.as_tensor(rng.normal(size=(3000, 12)))
    index = torch.arange(3000) % 2

    def log_prob(theta: Tensor) -> Tensor:
        hidden = torch.tanh(features @ theta[:96].reshape(12, 8))
        return log_softmax_by_prompt(hidden @ theta[96:], index, 2)

    rewards = torch.as_tensor(rng.integers(0, 2, size=(3000, 2)).astype(float))
    theta = torch.as_tensor(rng.normal(size=104))
    return World("big", index, rewards, ("a", "b"), theta, log_prob, depth=200)

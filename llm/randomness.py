"""Random streams by (seed, step, purpose): nothing to save, so a resumed run is bit-identical."""

from typing import Literal

import numpy as np
import torch

Purpose = Literal["prompts", "completions", "audit", "measure"]
_NUMBERS: dict[Purpose, int] = {"prompts": 0, "completions": 1, "audit": 2, "measure": 3}


def numpy_stream(seed: int, step: int, purpose: Purpose) -> np.random.Generator:
    """Return the NumPy stream of a step's purpose."""
    return np.random.default_rng([seed, step, _NUMBERS[purpose]])


def torch_stream(seed: int, step: int, purpose: Purpose, device: str) -> torch.Generator:
    """Return the torch stream of a step's purpose."""
    state = np.random.SeedSequence([seed, step, _NUMBERS[purpose]]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))

"""Random streams by (seed, step, purpose): nothing to save, so a resumed run is bit-identical.

"order" is by pass over the data instead of by step; "validation" is the same at every step, so that
evaluations of one run differ by the policy alone.
"""

from typing import Literal, get_args

import numpy as np
import torch

Purpose = Literal[
    "prompts",
    "completions",
    "audit",
    "measure",
    "order",
    "validation",
    "mini_batches",
    "held_out",
    "dynamic",
]
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_NUMBERS = {purpose: number for number, purpose in enumerate(_PURPOSES)}


def numpy_stream(seed: int, step: int, purpose: Purpose) -> np.random.Generator:
    """Return the NumPy stream of a step's purpose."""
    return np.random.default_rng([seed, step, _NUMBERS[purpose]])


def torch_stream(seed: int, step: int, purpose: Purpose, device: str) -> torch.Generator:
    """Return the torch stream of a step's purpose."""
    state = np.random.SeedSequence([seed, step, _NUMBERS[purpose]]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))

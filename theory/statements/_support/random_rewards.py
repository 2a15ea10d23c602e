"""Random reward columns: normal, integer with ties, binary, or constant."""

from collections.abc import Callable

import numpy as np


def random_rewards(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Draw one reward column (rows,)."""
    kind = rng.choice(["normal", "ties", "binary", "constant"], p=[0.4, 0.25, 0.25, 0.1])
    draws: dict[str, Callable[[], np.ndarray]] = {
        "normal": lambda: rng.normal(size=rows),
        "ties": lambda: rng.integers(0, 3, size=rows).astype(float),
        "binary": lambda: (rng.random(rows) < rng.uniform(0.1, 0.9)).astype(float),
        "constant": lambda: np.full(rows, rng.normal()),
    }
    return np.asarray(draws[str(kind)](), dtype=float)

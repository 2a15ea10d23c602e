"""What noise in sampled gradients does to the weights of MGDA, UPGrad, Nash-MTL and GradNorm (T62).

Two gradients in 400 dimensions, G = [[1, .2], [.2, 1.04]], the second's estimate ten times as noisy
as the first's. The plain Gramian of the samples takes noise for length.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.guard.gramian import crossed_products, shrunk_gramian
from covlaw.theory.scalarizers.upgrad import projected_weights
from covlaw.theory.solvers.min_norm import min_norm_weights
from covlaw.theory.solvers.nash_bargaining import nash_bargain

SIZE = 400
GRADIENTS = ((1.0, 0.0), (0.2, 1.0))
"""The first two coordinates of both; the others are 0."""
NOISE = (0.02, 0.2)
"""Standard deviations a coordinate, at scale 1."""
SCALES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
DRAWS = 200


def _shortest(gram: Tensor) -> Tensor:
    """GradNorm's fixed point with α = 0: λ_j ∝ 1/|g_j| (E3)."""
    inverse = gram.diagonal(dim1=-2, dim2=-1).clamp(min=1e-300).rsqrt()
    return inverse / inverse.sum(-1, keepdim=True)


METHODS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mgda": min_norm_weights,
    "upgrad": lambda gram: projected_weights(gram, torch.full((2,), 0.5).to(gram)),
    "nash_mtl": lambda gram: nash_bargain(gram).weights,
    "gradnorm": _shortest,
}


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Weigh two objectives by their true, plain and crossed Gramians.

    Args:
        seed: Decides the noise.
        quick: A tenth of the draws.

    Returns:
        For each method, scale of the noise and Gramian (`true`, `plain` of all samples, `expected`:
        what the plain one is on average, `crossed`: of two halves, shrunk and clipped): the first
        objective's weight, mean and standard deviation over `n` draws. Finite, JSON-able.
    """
    draws = DRAWS // 10 if quick else DRAWS
    true = torch.zeros(2, SIZE, dtype=torch.float64)
    true[:, :2] = torch.tensor(GRADIENTS, dtype=torch.float64)
    records = []
    for k, scale in enumerate(SCALES):
        noise = scale * torch.tensor(NOISE, dtype=torch.float64)
        grams = _gramians(true, noise, np.random.default_rng([seed, k]), draws)
        for name, gram in grams.items():
            for method, weigh in METHODS.items():
                first = weigh(gram)[:, 0]
                records.append(
                    {
                        "method": method,
                        "gramian": name,
                        "scale": scale,
                        "seed": seed,
                        "n": len(first),
                        "weight": float(first.mean()),
                        "deviation": float(first.std(correction=0)),
                    }
                )
    return records


def _gramians(
    true: Tensor, noise: Tensor, rng: np.random.Generator, draws: int
) -> dict[str, Tensor]:
    """Each (n, 2, 2): one of the true and the expected, one a draw of the others."""
    halves = [
        # a half of the samples has twice the variance of the whole
        true + 2**0.5 * noise[:, None] * torch.as_tensor(rng.normal(size=(draws, 2, SIZE)))
        for _ in range(2)
    ]
    mean = (halves[0] + halves[1]) / 2
    plain = mean @ mean.mT
    crossed = [
        shrunk_gramian(crossed_products(a, b), own).gram
        for a, b, own in zip(*halves, plain, strict=True)
    ]
    exact = (true @ true.T)[None]
    expected = exact + torch.diag(SIZE * noise.square())
    return {"true": exact, "expected": expected, "plain": plain, "crossed": torch.stack(crossed)}

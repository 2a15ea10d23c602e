"""Random smooth PL functions with known constants, a batch at a time (T41, T42, T48)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements.convergence import _bumpy as bumpy

CHUNK = 256

NO_PL_POLICY = dict.fromkeys(
    ("bandit", "tabular", "transformer", "llm"),
    "the objective of a softmax policy has no global PL constant (T45)",
)


class PLBatch(NamedTuple):
    """B functions f(x) = Σ_i c_i h_i((Ax)_i), h_i(z) = z² or z² + 3 sin² z, f* = 0 at x = 0.

    A has full row rank, so that f inherits μ = min_i μ_i·σ_min(A)² and L = max_i L_i·σ_max(A)².
    """

    matrix: Tensor
    """(B, R, D) A."""
    scale: Tensor
    """(B, R) c > 0."""
    bump: Tensor
    """(B, R) 0 or 3."""
    step: Tensor
    """(B,) γ in (0, 2/L)."""
    start: Tensor
    """(B, S, D)."""

    @property
    def singular_values(self) -> Tensor:
        """(B, R) of A, descending."""
        values: Tensor = torch.linalg.svdvals(self.matrix)
        return values

    @property
    def mu(self) -> Tensor:
        """(B,) a PL constant."""
        own = torch.where(self.bump > 0, bumpy.PL, 2.0) * self.scale
        return own.amin(1) * self.singular_values[:, -1].square()

    @property
    def smoothness(self) -> Tensor:
        """(B,) L."""
        own = torch.where(self.bump > 0, bumpy.SMOOTHNESS, 2.0) * self.scale
        return own.amax(1) * self.singular_values[:, 0].square()

    def value(self, x: Tensor) -> Tensor:
        """Gap f − f*: (B, S, D) → (B, S)."""
        own = bumpy.value(x @ self.matrix.mT, self.bump[:, None])
        return (self.scale[:, None] * own).sum(-1)

    def gradient(self, x: Tensor) -> Tensor:
        """∇f: (B, S, D) → (B, S, D)."""
        own = bumpy.slope(x @ self.matrix.mT, self.bump[:, None])
        return (self.scale[:, None] * own) @ self.matrix

    def descend(self, x: Tensor) -> Tensor:
        """One gradient step: x − γ∇f(x)."""
        return x - self.step[:, None, None] * self.gradient(x)

    def value_rounding(self, x: Tensor, reach: Tensor) -> Tensor:
        """Bound what rounding does to f(x), x itself computed by one step from |x| ≤ `reach`.

        The step errs by e = γ_n·(1 + γLR)·reach (|∇f(x)| ≤ L|x|, and ‖A‖_F² ≤ R·σ_max²), which
        moves f by |∇f|e + Le²/2, |∇f|² ≤ 2Lf; rounding Ax inside f has the same form.
        """
        rows, dimension = self.matrix.shape[1:]
        e = rounding((1 + 2 * rows) * reach, 8 * (rows + dimension + 8))
        smoothness, f = rows * self.smoothness[:, None], self.value(x)
        return (2 * smoothness * f).sqrt() * e + smoothness * e.square() + rounding(f, 64)


def draw_problems(rng: np.random.Generator, count: int) -> Iterator[PLBatch]:
    """Yield batches of `count` functions in all, each batch of one size; a fifth has μ = L."""
    for first in range(0, count, CHUNK):
        yield random_batch(rng, min(CHUNK, count - first))


def random_batch(
    rng: np.random.Generator, count: int, starts: int = 8, shape: tuple[int, int] | None = None
) -> PLBatch:
    """Draw functions, convex and not, of scale 1e-3 to 1e3; A is (R, D) = `shape`, κ(A) ≤ 3."""
    if shape is None:
        dimension = int(rng.integers(1, 5))
        shape = int(rng.integers(1, dimension + 1)), dimension
    rows, dimension = shape
    matrix = _matrices(rng, count, rows, dimension)
    bump = bumpy.BUMP * torch.as_tensor(rng.integers(0, 2, (count, rows)), dtype=torch.float64)
    scale = torch.as_tensor(
        10 ** rng.uniform(-3, 3, (count, 1)) * rng.uniform(0.3, 1, (count, rows))
    )
    perfect = torch.as_tensor(rng.random(count) < 0.2)[:, None]
    identity = torch.eye(rows, dimension, dtype=torch.float64)
    batch = PLBatch(
        torch.where(perfect[:, None], identity, matrix),
        torch.where(perfect, scale[:, :1], scale),
        torch.where(perfect, 0.0, bump),
        torch.ones(count, dtype=torch.float64),
        torch.as_tensor(rng.normal(size=(count, starts, dimension)))
        * torch.as_tensor(10 ** rng.uniform(-1, 1, (count, starts, 1))),
    )
    lengths = np.where(rng.random(count) < 0.1, 1.0, rng.uniform(0.02, 1.98, count))
    return batch._replace(step=torch.as_tensor(lengths) / batch.smoothness)


def _matrices(rng: np.random.Generator, count: int, rows: int, dimension: int) -> Tensor:
    """Draw (count, R, D) with singular values between 1/3 and 1."""
    left = np.linalg.qr(rng.normal(size=(count, rows, rows)))[0]
    right = np.linalg.qr(rng.normal(size=(count, dimension, rows)))[0]
    values = rng.uniform(1 / 3, 1, (count, 1, rows))
    return torch.as_tensor((left * values) @ right.swapaxes(1, 2))

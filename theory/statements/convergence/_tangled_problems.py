"""Several PL objectives that pull at one parameter vector, a batch at a time (T48)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence._pl_problems import PLBatch, random_batch

CHUNK = 512
ASCENT = 200
NEWTON = 12


class TangledBatch(NamedTuple):
    """B problems with J_j(θ) = −f_j(θ − a_j), each f_j of `PLBatch`; J_j^max = 0."""

    parts: tuple[PLBatch, ...]
    centre: Tensor
    """(M, B, D) a."""
    weights: Tensor
    """(B, M) λ > 0."""
    start: Tensor
    """(B, D) θ_0."""

    @property
    def mu(self) -> Tensor:
        """(B, M)."""
        return torch.stack([part.mu for part in self.parts], 1)

    @property
    def smoothness(self) -> Tensor:
        """(B, M)."""
        return torch.stack([part.smoothness for part in self.parts], 1)

    def losses(self, theta: Tensor) -> Tensor:
        """f_j = −J_j: (B, D) → (B, M)."""
        offsets = (theta - self.centre)[:, :, None]
        rows = zip(self.parts, offsets, strict=True)
        return torch.stack([part.value(x)[:, 0] for part, x in rows], 1)

    def gradients(self, theta: Tensor) -> Tensor:
        """∇J_j: (B, D) → (B, M, D)."""
        offsets = (theta - self.centre)[:, :, None]
        rows = zip(self.parts, offsets, strict=True)
        return -torch.stack([part.gradient(x)[:, 0] for part, x in rows], 1)

    def total_gradient(self, theta: Tensor) -> Tensor:
        """Σ_j λ_j ∇J_j: (B, D)."""
        return (self.weights[:, :, None] * self.gradients(theta)).sum(1)

    def total_curvature(self, theta: Tensor) -> Tensor:
        """−∇²(λ·J): (B, D, D)."""
        total = torch.zeros(())
        for part, centre, weight in zip(self.parts, self.centre, self.weights.T, strict=True):
            inner = ((theta - centre)[:, None] @ part.matrix.mT)[:, 0]
            bend = weight[:, None] * part.scale * bumpy.curvature(inner, part.bump)
            total = total + part.matrix.mT @ (bend[..., None] * part.matrix)
        return total

    def ascend(self, theta: Tensor) -> Tensor:
        """Gradient ascent on λ·J with step 1/L: it never falls."""
        step = 1 / (self.weights * self.smoothness).sum(1, keepdim=True)
        for _ in range(ASCENT):
            theta = theta + step * self.total_gradient(theta)
        return theta

    def polish(self, theta: Tensor) -> Tensor:
        """Newton steps to a stationary point of any kind; kept where they shrink the gradient."""
        for _ in range(NEWTON):
            slope = self.total_gradient(theta)
            step = torch.linalg.lstsq(self.total_curvature(theta), slope[..., None]).solution
            moved = theta + step[..., 0]
            better = self.total_gradient(moved).norm(dim=1) < slope.norm(dim=1)
            theta = torch.where(better[:, None], moved, theta)
        return theta


def draw_tangled(rng: np.random.Generator, count: int) -> Iterator[TangledBatch]:
    """Yield batches of `count` problems in all."""
    for first in range(0, count, CHUNK):
        yield random_tangle(rng, min(CHUNK, count - first))


def random_tangle(rng: np.random.Generator, count: int) -> TangledBatch:
    """Draw 2–4 objectives on 1–3 parameters; every f_j with A square, so that peaks differ."""
    objectives, dimension = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    parts = tuple(random_batch(rng, count, 1, (dimension, dimension)) for _ in range(objectives))
    even = [part._replace(scale=part.scale / part.scale.amax(1, keepdim=True)) for part in parts]
    return TangledBatch(
        tuple(even),
        torch.as_tensor(2 * rng.normal(size=(objectives, count, dimension))),
        torch.as_tensor(0.02 + rng.dirichlet(np.ones(objectives), count)),
        torch.as_tensor(3 * rng.normal(size=(count, dimension))),
    )

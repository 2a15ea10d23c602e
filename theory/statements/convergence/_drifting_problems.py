"""Ascent on λ_t·J while the weights move: random concave quadratics, a batch at a time (T43)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK = 256
STEPS = 40


class DriftBatch(NamedTuple):
    """B problems with J_j(θ) = −½(θ − a_j)'H_j(θ − a_j), 0 ≺ H_j, and a path of weights λ_t > 0."""

    curvature: Tensor
    """(B, M, D, D) H."""
    peak: Tensor
    """(B, M, D) a."""
    weights: Tensor
    """(B, T + 1, M) λ_0 … λ_T."""
    start: Tensor
    """(B, D)."""
    length: Tensor
    """(B,) γ·max_t L(λ_t), in (0, 2)."""

    def hessians(self) -> Tensor:
        """H(λ_t) = Σ_j λ_tj H_j: (B, T + 1, D, D)."""
        return torch.einsum("btm,bmde->btde", self.weights, self.curvature)

    def optima(self) -> Tensor:
        """Return θ*_t = argmax λ_t·J: (B, T + 1, D)."""
        pull = torch.einsum("btm,bmde,bme->btd", self.weights, self.curvature, self.peak)
        best: Tensor = torch.linalg.solve(self.hessians(), pull)
        return best

    def values(self, theta: Tensor) -> Tensor:
        """J(θ_t): (B, T, D) → (B, T, M)."""
        offset = theta[:, :, None] - self.peak[:, None]
        return -torch.einsum("btmd,bmde,btme->btm", offset, self.curvature, offset) / 2


class Ascent(NamedTuple):
    """What happened: T + 1 iterates and the constants of each λ_t·J."""

    theta: Tensor
    """(B, T + 1, D)."""
    optima: Tensor
    """(B, T + 1, D) θ*_t."""
    gap: Tensor
    """(B, T + 1) δ_t = max λ_t·J − λ_t·J(θ_t)."""
    mu: Tensor
    """(B, T + 1), and so is the smoothness."""
    smoothness: Tensor
    step: Tensor
    """(B, 1) γ."""


def ascend(batch: DriftBatch) -> Ascent:
    """Take θ_{t+1} = θ_t + γ∇(λ_t·J)(θ_t), T times."""
    hessians, optima = batch.hessians(), batch.optima()
    spectrum = torch.linalg.eigvalsh(hessians)
    step = (batch.length / spectrum[..., -1].amax(1))[:, None]
    path = [batch.start]
    for hessian, best in zip(hessians[:, :-1].unbind(1), optima[:, :-1].unbind(1), strict=True):
        slope = (hessian @ (best - path[-1])[..., None])[..., 0]
        path.append(path[-1] + step * slope)
    theta = torch.stack(path, 1)
    offset = theta - optima
    gap = torch.einsum("btd,btde,bte->bt", offset, hessians, offset) / 2
    return Ascent(theta, optima, gap, spectrum[..., 0], spectrum[..., -1], step)


def draw_drifting(rng: np.random.Generator, count: int) -> Iterator[DriftBatch]:
    """Yield batches of `count` problems in all; half follow CTWA's weights, half a random walk."""
    for first in range(0, count, CHUNK):
        yield random_drift(rng, min(CHUNK, count - first))


def random_drift(rng: np.random.Generator, count: int) -> DriftBatch:
    """Draw problems of 1–4 parameters and 1–8 objectives, of scale 1e-3 to 1e3."""
    objectives, dimension = int(rng.integers(1, 9)), int(rng.integers(1, 5))
    ctwa = rng.random((count, 1, 1)) < 0.5
    weights = np.where(ctwa, ctwa_path(rng, count, objectives), _walk(rng, count, objectives))
    scale = torch.as_tensor(10 ** rng.uniform(-3, 3, (count, 1, 1, 1)))
    return DriftBatch(
        scale * _curvatures(rng, (count, objectives), dimension),
        torch.as_tensor(rng.normal(size=(count, objectives, dimension))),
        torch.as_tensor(weights),
        torch.as_tensor(rng.normal(size=(count, dimension)) * 10 ** rng.uniform(-1, 1, (count, 1))),
        torch.as_tensor(rng.uniform(0.1, 1.9, count)),
    )


def ctwa_path(rng: np.random.Generator, count: int, objectives: int) -> np.ndarray:
    """Raw CTWA on a frozen covariance C: u += η·max(c − Cλ, 0), λ = e^u: (count, T + 1, M)."""
    root = rng.normal(size=(count, objectives, objectives + 1))
    covariance = root @ root.swapaxes(1, 2) / (objectives + 1)
    target, eta = rng.uniform(0.1, 1.0, (2, count, 1))
    u = rng.normal(scale=0.5, size=(count, objectives)) - 1
    path = [np.exp(u)]
    for _ in range(STEPS):
        shortfall = target - (covariance @ path[-1][..., None])[..., 0]
        u = np.minimum(u + eta * np.maximum(shortfall, 0.0), 3.0)  # the cap of the published rule
        path.append(np.exp(u))
    return np.stack(path, 1)


def _walk(rng: np.random.Generator, count: int, objectives: int) -> np.ndarray:
    moves = rng.normal(size=(count, STEPS + 1, objectives)) * 10 ** rng.uniform(
        -3, 0, (count, 1, 1)
    )
    return np.asarray(np.exp(np.clip(moves.cumsum(1), -3, 3)))


def _curvatures(rng: np.random.Generator, shape: tuple[int, ...], dimension: int) -> Tensor:
    """Draw symmetric matrices with eigenvalues between 0.2 and 1."""
    basis = np.linalg.qr(rng.normal(size=(*shape, dimension, dimension)))[0]
    values = rng.uniform(0.2, 1, (*shape, 1, dimension))
    return torch.as_tensor((basis * values) @ basis.swapaxes(-1, -2))


def exact_drifts(batch: DriftBatch, run: Ascent) -> Tensor:
    """(λ_{t+1} − λ_t)·(J(θ*_{t+1}) − J(θ_{t+1})): (B, T)."""
    short = batch.values(run.optima[:, 1:]) - batch.values(run.theta[:, 1:])
    return (batch.weights.diff(dim=1) * short).sum(-1)


def path_drifts(batch: DriftBatch, run: Ascent) -> Tensor:
    """|λ_{t+1} − λ_t|_1·G, G = sup_t max_j |J_j(θ*_t) − J_j(θ_t)|: (B, T)."""
    short = batch.values(run.optima[:, 1:]) - batch.values(run.theta[:, 1:])
    return batch.weights.diff(dim=1).abs().sum(-1) * short.abs().amax((1, 2))[:, None]

"""Natural-gradient directions F⁺g of an enumerated world: dense, or by damped CG (T12)."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.worlds import World


def dense_natural_gradient(world: World, score: Tensor) -> Tensor:
    """F⁺g_s by least squares on √π-weighted scores: (D,); for small worlds.

    argmin_u E(⟨∇log π, u⟩ − A_s)², minimum norm. `score` (N,) is centred within prompts.
    """
    root = world.row_weight().sqrt()
    system = root[:, None] * world.scores()
    solution: Tensor = torch.linalg.lstsq(system, (root * score)[:, None], driver="gelsd")[0]
    return solution[:, 0]


class DampedSolution(NamedTuple):
    """(F + δI)⁻¹g and how well it was solved."""

    direction: Tensor
    """(D,)."""
    residual: float
    """‖(F + δI)u − g‖ / ‖g‖, recomputed at the end."""
    iterations: int


def damped_natural_gradient(
    world: World,
    gradient: Tensor,
    damping: float = 1e-3,
    tolerance: float = 1e-8,
    max_iterations: int = 500,
) -> DampedSolution:
    """(F + δI)⁻¹g by conjugate gradients, a JVP and a VJP an iteration.

    Undamped CG does not converge on a transformer (condition number 1e9); the damping biases the
    direction, so report it with the residual.

    Raises:
        CovlawError: if δ ≤ 0.
    """
    if not damping > 0:
        raise CovlawError(f"damping is {damping}: CG on the Fisher matrix needs a value > 0")
    weight, iterations = world.row_weight(), 0

    def apply(v: np.ndarray) -> np.ndarray:
        direction = torch.as_tensor(v.reshape(-1), dtype=torch.float64)
        fisher = world.score_sum(weight * world.directional(direction))
        return (fisher + damping * direction).numpy()

    def count(_: np.ndarray) -> None:
        nonlocal iterations
        iterations += 1

    size = gradient.shape[0]
    operator = LinearOperator((size, size), matvec=apply, dtype=np.float64)
    solution, _ = cg(
        operator, gradient.numpy(), rtol=tolerance, maxiter=max_iterations, callback=count
    )
    residual = np.linalg.norm(apply(solution) - gradient.numpy()) / np.linalg.norm(gradient.numpy())
    return DampedSolution(torch.as_tensor(solution), float(residual), iterations)

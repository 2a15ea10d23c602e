"""Natural-gradient directions F⁺g of an enumerated world: dense, or by damped CG (T12)."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.worlds.world import World


def dense_natural_gradient(world: World, score: Tensor) -> Tensor:
    """F⁺g_s by least squares on √π-weighted scores: (D,); for small worlds.

    argmin_u E(⟨∇log π, u⟩ − A_s)², minimum norm. `score` (N,) is centred within prompts.
    """
    root = world.row_weight().sqrt()
    return _minimum_norm(root[:, None] * world.scores(), root * score)


def dense_natural_step(world: World, gradient: Tensor) -> Tensor:
    """F⁺g for any gradient g (D,) in the span of the scores: (D,); for small worlds.

    With B the √π-weighted scores, F = B'B and F⁺ = B⁺(B⁺)': two least squares, so that the
    condition number of F itself (its square, 1e9 on a transformer) never enters.
    """
    weighted = world.row_weight().sqrt()[:, None] * world.scores()
    return _minimum_norm(weighted, _minimum_norm(weighted.T, gradient))


def dense_damped_natural_gradient(world: World, gradient: Tensor, damping: float) -> Tensor:
    """(F + δI)⁻¹g with the scores at hand: (D,); for small worlds.

    F = B'B for the √π-weighted scores B, so that a system of N completions, not D parameters, is
    solved: (g − B'(BB' + δI)⁻¹Bg)/δ (Woodbury).

    Raises:
        CovlawError: if δ ≤ 0.
    """
    _check(damping)
    weighted = world.row_weight().sqrt()[:, None] * world.scores()
    small = weighted @ weighted.T + damping * torch.eye(len(weighted), dtype=torch.float64)
    inner: Tensor = torch.linalg.solve(small, weighted @ gradient)
    return (gradient - weighted.T @ inner) / damping


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
    direction, so report it with the residual. F + δI ≥ δI, hence ⟨a, u⟩ errs by at most
    ‖a‖·‖g‖·residual/δ.

    Raises:
        CovlawError: if δ ≤ 0.
    """
    _check(damping)
    weight, iterations = world.row_weight(), 0

    def apply(v: np.ndarray) -> np.ndarray:
        direction = torch.as_tensor(v.reshape(-1), dtype=torch.float64)
        fisher = world.score_sum(weight * world.directional(direction))
        return (fisher + damping * direction).numpy()

    def count(_: np.ndarray) -> None:
        nonlocal iterations
        iterations += 1

    target = gradient.numpy()
    operator = LinearOperator((len(target), len(target)), matvec=apply, dtype=np.float64)
    solution, _ = cg(operator, target, rtol=tolerance, maxiter=max_iterations, callback=count)
    size = float(np.linalg.norm(target))
    error = float(np.linalg.norm(apply(solution) - target))
    return DampedSolution(torch.as_tensor(solution), error / size if size else error, iterations)


def _check(damping: float) -> None:
    if not damping > 0:
        raise CovlawError(f"damping is {damping}: CG on the Fisher matrix needs a value > 0")


def _minimum_norm(matrix: Tensor, target: Tensor) -> Tensor:
    """Minimum-norm least squares; singular values below rounding count as 0."""
    solution: Tensor = torch.linalg.lstsq(matrix, target[:, None], driver="gelsd").solution
    return solution[:, 0]

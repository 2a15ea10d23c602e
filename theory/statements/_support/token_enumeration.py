"""The referee for token trees: products of token probabilities in NumPy, apart from token_law."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.token_tree import TokenTree

_COMPLEX_STEP = 1e-100


def token_tilt_derivative(
    tree: TokenTree, values: Tensor, direction: Tensor, log_policy: Tensor | None = None
) -> Tensor:
    """d/dη at η = 0 of E r under π_η(a|h) ∝ π(a|h) e^{ηw(h,a)}: (n,), by a complex step.

    Args:
        tree: The completions, and π unless `log_policy` (E,) is given.
        values: (N, n) quantities r.
        direction: (E,) w.
        log_policy: (E,) of another policy on the tree.
    """
    log_policy = tree.log_policy() if log_policy is None else log_policy
    tilted = np.exp(log_policy.numpy() + 1j * _COMPLEX_STEP * direction.numpy())
    return torch.as_tensor(_mean(tree, values, tilted).imag / _COMPLEX_STEP)


def _mean(
    tree: TokenTree, values: Tensor, weight: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """E r under the token policy proportional to `weight` (E,) in every context: (n,)."""
    context = tree.context.numpy()
    total = np.zeros(tree.contexts, weight.dtype)
    np.add.at(total, context, weight)
    choice = tree.choice.numpy()
    steps = np.where(choice >= 0, (weight / total[context])[choice], 1.0)
    prompts, index = np.unique(tree.world.prompt.numpy(), return_inverse=True)
    outer = tree.world.prompt_mass
    share = np.full(len(prompts), 1 / len(prompts)) if outer is None else outer.numpy()
    mean: NDArray[np.complex128] = (share[index] * steps.prod(1)) @ values.numpy()
    return mean


def token_rounding(tree: TokenTree, values: Tensor, signal: float | Tensor = 1.0) -> Tensor:
    """Bound the rounding of Σ_t E[(r − E r)·w_t] on either side: (n,), |w_t| ≤ signal.

    T tokens, two centred factors of at most 2 max|·| each. A completion's probability is a product
    of T policies, whose logarithms of size |log π| round before they are exponentiated; sums run
    over at most N completions.
    """
    length, rows = tree.choice.shape[1], tree.choice.shape[0]
    log_size = 1 + float(tree.log_policy().abs().max())
    operations = 16 * (rows + length + 16) + int(8 * length * log_size)
    return rounding(4 * length * values.abs().amax(0) * signal, operations)

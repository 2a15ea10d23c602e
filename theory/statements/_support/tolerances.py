"""Rounding bounds shared by the statements about tilts and covariances."""

import math

from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.world import World


def covariance_rounding(
    world: World, values: Tensor, signal: Tensor, eta: float = 0.0, score: Tensor | None = None
) -> Tensor:
    """Bound |computed − exact| of E_x Cov_x(r_j, f), or of a derivative, on both sides: (M,).

    With n completions a prompt a row weight errs by n + O(1) roundings, plus 8|η|·max|s| where it
    is e^{ηs} (the exponent's own rounding, and its shift). Weights enter each mean (2n), the means
    both centred factors (|·| ≤ 2 max each), those the sum: at most 16(n + …) roundings of
    max|r|·max|f| a side, and P more for the mean over prompts.
    """
    scale = values.abs().amax(0) * signal.abs().max()
    return rounding(scale, 32 * (_operations(world) + _exponent(eta, score)))


def change_rounding(world: World, values: Tensor, eta: float, score: Tensor) -> Tensor:
    """Bound |computed − exact| of a difference of two tilted expectations: (M,).

    As `covariance_rounding`, with max|r| alone: weights off by a factor 1 + δ move E r by at most
    2δ·max|r|.
    """
    return rounding(values.abs().amax(0), 8 * (_operations(world) + _exponent(eta, score)))


def _operations(world: World) -> int:
    counts = group_by_prompt(world.prompt).counts
    return int(counts.max()) + len(counts) + 16


def _exponent(eta: float, score: Tensor | None) -> int:
    return 0 if score is None else math.ceil(8 * abs(eta) * float(score.abs().max()))

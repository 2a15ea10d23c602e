"""T41: does any function make as little progress in a gradient step as the improved rate allows?

Candidates are functions of one variable, minimal at 0, whose derivative is piecewise linear with
slopes in [−1, 1], so L = 1; the step starts at the last knot. Their PL modulus is exact: on a
piece f'² − 2kf is constant, so f'²/(2f) is monotone and least at a knot, or is the first slope.
"""

import torch
from torch import Tensor

from covlaw.theory.dynamics.pl_rates import improved_rate
from covlaw.theory.probes.probe import Probe

PIECES = 6
_LEAST_MODULUS, _LARGEST_MODULUS = 1e-3, 0.5
"""Below, 1 − rate has too few digits to compare; near 1 only the quadratic is left, and attains."""


def least_progress(parameters: Tensor) -> Tensor:
    """(1 − improved rate)/(1 − realised δ⁺/δ): (B,), at most 1 as T41 says; 1 would be tight."""
    step, slopes, lengths = _function(parameters)
    knots = _from_zero(lengths)
    derivative = _from_zero(slopes * lengths)
    area = (derivative[:, :-1] + derivative[:, 1:]) / 2 * lengths
    height = _from_zero(area)
    modulus = torch.minimum(
        slopes[:, 0], (derivative[:, 1:].square() / (2 * height[:, 1:])).amin(1)
    )
    sound = (
        (derivative[:, 1:] > 0).all(1) & (modulus > _LEAST_MODULUS) & (modulus <= _LARGEST_MODULUS)
    )
    landed = knots[:, -1] - step * derivative[:, -1]
    after = _height_at(landed, knots, derivative, height, slopes)
    rate = improved_rate(torch.where(sound, modulus, 0.5), 1.0, step)
    progress = 1 - after / height[:, -1]
    return torch.where(sound & (progress > 0), (1 - rate) / progress, torch.nan)


def _height_at(
    x: Tensor, knots: Tensor, derivative: Tensor, height: Tensor, slopes: Tensor
) -> Tensor:
    piece = (x[:, None] >= knots[:, 1:-1]).sum(1, keepdim=True)
    start, b, f, k = (t.gather(1, piece)[:, 0] for t in (knots, derivative, height, slopes))
    past = x - start
    return f + b * past + k * past.square() / 2


def _from_zero(steps: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(steps[:, :1]), steps.cumsum(1)], 1)


def _function(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """γ in [1/2, 1], as short steps attain trivially; slopes, the largest 1; lengths > 0."""
    slopes = parameters[:, :PIECES].tanh()
    slopes = slopes / slopes.abs().amax(1, keepdim=True)
    lengths = parameters[:, PIECES : 2 * PIECES].clamp(-10, 10).exp()
    return (1 + parameters[:, -1].sigmoid()) / 2, slopes, lengths


def _describe(parameters: Tensor) -> dict[str, list[float] | float]:
    step, slopes, lengths = _function(parameters[None])
    return {"γ": float(step[0]), "slopes": slopes[0].tolist(), "lengths": lengths[0].tolist()}


GRADIENT_STEP = Probe(
    id="gradient step",
    statement="T41",
    question="Does some function with μ ≤ L/2 attain the improved rate at a step in [1/2L, 1/L]?",
    standing="not in one variable, all that is searched: √f falls by μγ√f (T41); else open",
    dimension=2 * PIECES + 1,
    value=least_progress,
    describe=_describe,
    slack=1e-10,  # 1 − rate ≥ 1e-4 or so, of numbers with some ten roundings
)

"""What a path of CTWA must satisfy when it climbs a concave potential f (T33, T37, T38)."""

from typing import NamedTuple

from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import PromptCovariances

Part = tuple[Tensor, Tensor, Tensor]
"""(measured, predicted, tolerance), (n,) each."""


class Climb(NamedTuple):
    """A path of T steps of B problems."""

    potential: Tensor
    """(T+1, B) f(λ_t)."""
    rounding: Tensor
    """(T+1, B) bound on the error of each."""
    weights: Tensor
    """(T+1, B, M) λ_t."""
    deficit: Tensor
    """(T+1, B, M) d = relu(c − y)."""
    step: Tensor
    """(B,) η."""


class Ceiling(NamedTuple):
    """What the path may not exceed, (B,) each."""

    weights: Tensor
    """Bound of Σλ_t."""
    potential: Tensor
    """Bound of f."""
    error: Tensor
    """Share by which rounding may move both."""


def climb_sides(climb: Climb, ceiling: Ceiling) -> list[Part]:
    """Gain a step, weights' bound, and how fast the shortfall must vanish.

    Σ_t ½η Σ_j λ_j d_j² ≤ f_T − f_0 ≤ max f − f_0, so the least shortfall of T steps is at most
    2(max f − f_0)/(ηT): it tends to 0, and with it every d_j, as λ_j ≥ λ_j0.
    """
    shortfall = (climb.weights * climb.deficit.square()).sum(-1)[:-1]
    gain = climb.potential[1:] - climb.potential[:-1]
    noise = climb.rounding[1:] + climb.rounding[:-1]
    total = climb.weights.sum(-1).amax(0)
    pace = 2 / (climb.step * shortfall.shape[0])
    slowest = pace * (ceiling.potential - climb.potential[0])
    late = pace * (climb.rounding[0] + ceiling.error * ceiling.potential.abs())
    return [
        ((climb.step / 2 * shortfall).flatten(), gain.flatten(), noise.flatten()),
        (total, ceiling.weights, ceiling.error * ceiling.weights),
        (shortfall.amin(0), slowest, late),
    ]


def kept(problems: PromptCovariances, chosen: Tensor) -> PromptCovariances:
    """The chosen (B,) problems of a batch."""
    return PromptCovariances(*(part[chosen] for part in problems))

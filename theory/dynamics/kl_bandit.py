"""The KL-regularised bandit J = E_π s − β·KL(π‖ref): its gap, and how steep it is (T46).

The best policy is π* ∝ ref·e^{s/β}. Everything is a function of ℓ = log(π/π*): the gap is
β·E_π ℓ and the gradient in the logits −β·π∘(ℓ − E_π ℓ). One prompt a row: arrays are (..., n).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.tilts.remainder import phi


class PlConstants(NamedTuple):
    """Non-uniform PL constants at one policy: |∇J|² ≥ 2μ(J* − J) there, not everywhere."""

    euclidean: Tensor
    """(...) β·π_min/(2φ(b)), for plain gradients in the logits."""
    natural: Tensor
    """(...) β/(2φ(b)), for ∇J'F⁺∇J, the squared length of the natural gradient."""


def best_log_prob(score: Tensor, reference: Tensor, beta: Tensor | float) -> Tensor:
    """log π* = log ref + s/β − log Σ ref·e^{s/β}: (..., n).

    Args:
        score: (..., n) s.
        reference: (..., n) log ref; −inf outside its support.
        beta: β > 0, a number or (..., 1).
    """
    return (reference + score / beta).log_softmax(-1)


def excess(log_prob: Tensor, best: Tensor) -> Tensor:
    """ℓ = log π − log π*: (..., n); 0 where neither has mass."""
    return torch.where(best == log_prob, 0.0, log_prob - best)


def divergence(log_prob: Tensor, best: Tensor) -> Tensor:
    """KL(π‖π*), so that J* − J = β·KL (T46): (...,).

    As Σ π·ℓ²·φ(−ℓ) = Σ (π* − π + πℓ): every term is ≥ 0, so that nothing cancels near the optimum,
    and an error c in the common constant of ℓ enters as c² only.
    """
    mass, own = log_prob.exp(), excess(log_prob, best)
    near = own > -1
    small = torch.where(near, own, 0.0)
    large = torch.where(near | (mass == 0), 0.0, own)
    far = best.exp() - mass + mass * large
    return torch.where(near, mass * small.square() * phi(-small), far).sum(-1)


def pl_constants(log_prob: Tensor, best: Tensor, beta: Tensor | float = 1.0) -> PlConstants:
    """Return how steep J is at π at least, relative to its gap (T46).

    b = max_a(E ℓ − ℓ_a), φ(b) = (e^b − 1 − b)/b²: KL = log E_π e^{−(ℓ−Eℓ)} ≤ φ(b)·Var_π(ℓ). Both
    constants tend to their values with φ = 1/2 at the optimum, and to 0 where a completion that π*
    wants has lost its mass.

    Args:
        log_prob: (..., n) log π.
        best: (..., n) log π*.
        beta: β, a number or (...,).
    """
    mass, own = log_prob.exp(), excess(log_prob, best)
    live = best > -torch.inf
    mean = (mass * torch.where(mass > 0, own, 0.0)).sum(-1)
    reach = (mean - torch.where(live, own, torch.inf).amin(-1)).clamp(min=0.0)
    slack = torch.where(torch.isfinite(reach), 2 * phi(reach), torch.inf)
    rarest = torch.where(live, mass, torch.inf).amin(-1)
    return PlConstants(beta * rarest / slack, beta / slack)


def oscillation(log_prob: Tensor, best: Tensor) -> Tensor:
    """Return max ℓ − min ℓ over the support: (...,) (T46).

    A natural-gradient step η multiplies it by |1 − ηβ|, exactly; and J* − J ≤ (β/8)·osc².
    """
    own, live = excess(log_prob, best), best > -torch.inf
    top = torch.where(live, own, -torch.inf).amax(-1)
    return top - torch.where(live, own, torch.inf).amin(-1)


def natural_step(
    log_prob: Tensor, score: Tensor, reference: Tensor, beta: Tensor | float, eta: Tensor | float
) -> Tensor:
    """log π after one natural-gradient step: π·e^{η(s − β log(π/ref))}, normalised (T46): (..., n).

    Args:
        log_prob: (..., n) log π.
        score: (..., n) s.
        reference: (..., n) log ref.
        beta: β, a number or (..., 1).
        eta: η, a number or (..., 1).
    """
    signal = score - beta * excess(log_prob, reference)
    return (log_prob + eta * signal).log_softmax(-1)


def full_support_level(best: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """−β·log(1 − min π*): (...,), the least gap of a policy that leaves a completion out (T46).

    On {J* − J ≤ level} with any smaller level, π_min stays above 0 and the constants are uniform.
    """
    rarest = torch.where(best > -torch.inf, best, torch.inf).amin(-1)
    return -beta * torch.log1p(-rarest.exp())

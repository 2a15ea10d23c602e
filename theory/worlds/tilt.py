"""The exponential tilt π_η ∝ π e^{ηs} of an enumerated policy (A1)."""

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.validation import as_mass


def tilt_log_ratio(score: Tensor, eta: float | Tensor, prompt: Tensor, mass: Tensor) -> Tensor:
    """log π_η/π of each completion (N,): η·s − log E_{π(.|x)} e^{ηs}, stable for any η·s.

    Args:
        score: (N,) s, any finite values; not read where `mass` is 0.
        eta: Tilt strength, a scalar of either sign.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities under π, summing to 1 within a prompt.

    Raises:
        CovlawError: on scores of the wrong shape, and masses that do not sum to 1.
    """
    groups = by_prompt(prompt)
    score = as_float64(score, "score", groups.position.device)
    weight = as_mass(mass, groups)
    if weight is None or score.shape != weight.shape:
        raise CovlawError(
            f"a tilt needs a score and a mass a completion, got {tuple(score.shape)} scores for "
            f"{groups.position.shape[0]} completions"
        )
    # η·(s − s_top) ≤ 0 with the prompt's most favoured score: no overflow, and a shift of s cancels
    # before the product rounds
    favoured = torch.where(torch.as_tensor(eta) < 0, -1.0, 1.0).to(score)
    top = torch.zeros_like(groups.sum(weight)).scatter_reduce(
        0,
        groups.position,
        torch.where(weight > 0, favoured * score, -torch.inf),
        "amax",
        include_self=False,
    )
    gap = torch.where(weight > 0, score - favoured * groups.spread(top), 0.0)
    exponent = eta * gap
    normaliser = groups.sum(weight * torch.exp(exponent)) / groups.sum(weight)
    return exponent - groups.spread(normaliser.log())

"""From scores to advantages under the exact policy: `theory.advantages` with endless samples."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.study.ensemble import PolicyEnsemble

Normaliser = Callable[[PolicyEnsemble, Tensor, Tensor], Tensor]
"""(ensemble, score (R, N), mass (R, N) within prompts) → advantage (R, N)."""


def raw(ensemble: PolicyEnsemble, score: Tensor, mass: Tensor) -> Tensor:
    """Dr. GRPO: s − E_x s."""
    mean = ensemble.prompt_mean(score, mass)
    return (ensemble.by_prompt(score) - mean).flatten(1)


def grpo(ensemble: PolicyEnsemble, score: Tensor, mass: Tensor) -> Tensor:
    """GRPO: centred / the prompt's own std."""
    centred = raw(ensemble, score, mass)
    spread = ensemble.prompt_mean(centred.square(), mass).sqrt()
    return _divide(ensemble.by_prompt(centred), spread, score).flatten(1)


def whitened(ensemble: PolicyEnsemble, score: Tensor, mass: Tensor) -> Tensor:
    """REINFORCE++: (s − E s)/the std over all prompts."""
    share = mass * ensemble.prompt_share
    centred = score - (share * score).sum(1, keepdim=True)
    return _divide(centred, (share * centred.square()).sum(1, keepdim=True).sqrt(), score)


def pooled(ensemble: PolicyEnsemble, score: Tensor, mass: Tensor) -> Tensor:
    """Centred / the std within prompts, pooled over them."""
    centred = raw(ensemble, score, mass)
    share = mass * ensemble.prompt_share
    return _divide(centred, (share * centred.square()).sum(1, keepdim=True).sqrt(), score)


SIGNALS: Mapping[str, Normaliser] = {
    "raw": raw,
    "grpo": grpo,
    "whitened": whitened,
    "pooled": pooled,
}
"""By the names of `theory.ctwa_signals`."""
SAMPLED: Mapping[str, str] = {
    "raw": "dr_grpo",
    "grpo": "grpo",
    "whitened": "reinforce++",
    "pooled": "pooled_within",
}
"""Signal → its name in `theory.advantages.NORMALISERS`, which take samples."""


def _divide(centred: Tensor, spread: Tensor, score: Tensor) -> Tensor:
    """0/0 := 0, where a spread within the rounding of its scores (R, N) is 0."""
    noise = rounding(score.abs().amax(1), 4 * score.shape[1])
    some = spread > noise.reshape(-1, *([1] * (spread.ndim - 1)))
    return torch.where(some, centred / torch.where(some, spread, 1.0), 0.0)

"""From a score to an advantage: the group normalisations in use, one line each."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64, lost_precision
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.prompts import PromptIds, by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.validation import require_pairs

TERMS = 8
"""Roundings in its own dtype that a score is granted: one a reward that it sums."""


class Normaliser(Protocol):
    """A normalisation of scores (N,) float64; `own` is u of the dtype they were made in, if less.

    Sums of rewards in float32 that are equal in truth differ by some u of their size: as much
    spread is none.
    """

    def __call__(self, score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
        """Return the advantage (N,) float64."""
        ...


def centred(score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
    """Dr. GRPO: s − mean of the prompt's group."""
    del own  # nothing is divided, so noise stays noise
    return groups.centre(score, groups.share(None))


def leave_one_out(score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
    """RLOO: s − mean of the group's other completions = K/(K−1) × centred (T20)."""
    del own
    counts = groups.spread(groups.counts.to(score.dtype))
    return centred(score, groups) * counts / (counts - 1)


def group_standardised(score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
    """GRPO: centred / the group's std (ddof 1); groups of equal scores get 0 (T23)."""
    centred_score = centred(score, groups)
    variance = groups.sum(centred_score.square()) / (groups.counts.to(score.dtype) - 1)
    largest = torch.zeros_like(variance).scatter_reduce(0, groups.position, score.abs(), "amax")
    noise = rounding(largest, 4 * int(groups.counts.max())) + TERMS * own * largest
    return _divide(centred_score, groups.spread(variance.sqrt()), groups.spread(noise))


def globally_whitened(score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
    """REINFORCE++: (s − batch mean) / batch std; mixes prompts (T22, T38)."""
    del groups
    return _divide(score - score.mean(), score.std(), _noise(score, own))


def pooled_within_standardised(score: Tensor, groups: Groups, own: float = 0.0) -> Tensor:
    """Centred / pooled within-group std: one scale for the batch, no prompt reweighted (T38)."""
    centred_score = centred(score, groups)
    freedom = score.shape[0] - groups.prompts.shape[0]
    scale = (centred_score.square().sum() / freedom).sqrt()
    return _divide(centred_score, scale, _noise(score, own))


NORMALISERS: Mapping[str, Normaliser] = {
    "dr_grpo": centred,
    "rloo": leave_one_out,
    "grpo": group_standardised,
    "reinforce++": globally_whitened,
    "pooled_within": pooled_within_standardised,
}
"""Advantage normalisation by name; float64 in, float64 out, (N,) each."""


WITHOUT_PAIRS = frozenset({"reinforce++"})
"""Normalisers that compare a completion with the batch's, so that one a prompt will do."""


def group_advantage(score: Numbers, prompt: PromptIds, normaliser: str = "grpo") -> Tensor:
    """Normalise a score (N,) into an advantage (N,) float64 within prompts (N,).

    With one completion a prompt only those of `WITHOUT_PAIRS` are possible; whatever the advantage,
    its law is a covariance within prompts, which takes a sample with at least two (T22).

    The work is done in float64; a score that comes in less counts as constant where it varies by
    no more than its own rounding (`TERMS`).

    Raises:
        CovlawError: for an unknown normaliser, scores that do not fit the prompts or are not
            finite, and prompts with a single completion.
    """
    if normaliser not in NORMALISERS:
        raise unknown("normaliser", normaliser, tuple(NORMALISERS))
    groups = by_prompt(prompt)
    if normaliser not in WITHOUT_PAIRS:
        _require_group(groups, normaliser)
    own = lost_precision(score)
    score = as_float64(score, "score", groups.position.device)
    if score.shape != groups.position.shape:
        raise CovlawError(
            f"score has shape {tuple(score.shape)} for {groups.position.shape[0]} completions: "
            "give one a completion"
        )
    if not bool(torch.isfinite(score).all()):
        row = int((~torch.isfinite(score)).nonzero()[0])
        raise CovlawError(f"score is {score[row].item()} at row {row}: mend its rewards or weights")
    return NORMALISERS[normaliser](score, groups, own)


def _require_group(groups: Groups, normaliser: str) -> None:
    try:
        require_pairs(groups)
    except CovlawError as error:
        possible = ", ".join(sorted(WITHOUT_PAIRS))
        raise CovlawError(
            f"{error}; normaliser {normaliser!r} compares a completion with others of its prompt, "
            f"of one a prompt only {possible} makes an advantage"
        ) from error


def _noise(score: Tensor, own: float) -> Tensor:
    largest = score.abs().max()
    return rounding(largest, 4 * score.shape[0]) + TERMS * own * largest


def _divide(numerator: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    # 0/0 := 0: scores that are equal carry no signal. Their computed spread may be some roundings
    # of their own size instead of 0, so that, and not an absolute epsilon, is the threshold.
    return torch.where(scale > noise, numerator / torch.where(scale > noise, scale, 1.0), 0.0)

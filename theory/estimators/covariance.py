"""Within-prompt covariances: the estimators of the covariance law on every rung."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.weighting import Grouping, Weighting, weighting


class Drawn(NamedTuple):
    """What a covariance was taken of: intervals and certificates look at it again."""

    values: Tensor
    """(N, M) float64."""
    signal: Tensor
    """(N,) float64; of importance ratios ρ − 1, whose mean is known to be 0."""
    weights: Weighting
    ratio: bool
    """Whether the signal is ρ − 1."""


class Covariance(NamedTuple):
    """Mean within-prompt covariance of each column with one signal."""

    estimate: Tensor
    """(M,) mean over prompts, in units of value × signal."""
    standard_error: Tensor
    """(M,) clustered by prompt; 0 where the probabilities are exact, NaN for a single prompt."""
    per_prompt: Tensor
    """(P, M) each prompt's covariance."""
    prompts: Tensor
    """(P,) prompt ids, ascending."""
    drawn: Drawn | None = None
    """What it was taken of."""


def within_prompt_covariance(
    values: Numbers,
    signal: Numbers,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Covariance:
    r"""E_x Cov_x(r_j, s): the covariance law's prediction for each objective (T1, T19).

    With `mass` the population covariance under those probabilities; without it the unbiased
    (K−1) estimate averaged over prompts, with a standard error clustered by prompt
    (`weighting.Weighting.average`).

    Tensors of any float type, arrays and lists are accepted; the work is done in float64 on the
    device of `prompt`.

    Args:
        values: (N, M) or (N,) rewards.
        signal: (N,) training signal, e.g. score, importance ratio or effective weight.
        prompt: (N,) prompt ids in any order, integers or labels of any kind.
        mass: (N,) completion probabilities within the prompt, or None for i.i.d. samples.
        prompt_mass: (P,) prompt probabilities by ascending id, or None for uniform.

    Raises:
        CovlawError: on mismatched shapes, NaN or infinite entries, masses that do not sum to 1,
            and sampled prompts with a single completion.
    """
    return _covariance(values, signal, weighting(Grouping(prompt, mass, prompt_mass)), ratio=False)


def _covariance(values: Numbers, signal: Numbers, weights: Weighting, ratio: bool) -> Covariance:
    columns = _finite(values, "values", weights)
    columns = columns[:, None] if columns.ndim == 1 else columns
    signal = _finite(signal, "signal", weights, 1)
    centred_signal = weights.groups.centre(signal, weights.row)
    centred = weights.groups.centre(columns, weights.row)
    per_prompt = weights.groups.sum((weights.row * centred_signal)[:, None] * centred)
    per_prompt = per_prompt * weights.correction[:, None]
    drawn = Drawn(columns, signal, weights, ratio)
    return Covariance(*weights.average(per_prompt), per_prompt, weights.groups.prompts, drawn)


def covariance_matrix(
    rewards: Numbers,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Tensor:
    """C = E_x Cov_x(r): (M, M) mean within-prompt covariance matrix of the rewards (part C).

    Arguments and errors as `within_prompt_covariance`.
    """
    weights = weighting(Grouping(prompt, mass, prompt_mass))
    centred = weights.groups.centre(_finite(rewards, "rewards", weights, 2), weights.row)
    row = weights.row * weights.groups.spread(weights.prompt * weights.correction)
    matrix = centred.T @ (row[:, None] * centred)
    return (matrix + matrix.T) / 2  # a product of matrices rounds (j, k) and (k, j) differently


def exact_change(
    rewards: Numbers,
    log_ratio: Numbers,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Covariance:
    """Δ_j = E_x Cov_{π_old}(r_j, π_new/π_old): exact for any optimiser (T8).

    Args:
        rewards: (N, M) rewards of π_old's completions.
        log_ratio: (N,) log π_new − log π_old of each completion; −inf where π_new is 0.
        prompt: (N,) prompt ids, integers or labels.
        mass: (N,) probabilities under π_old, or None for samples of π_old.
        prompt_mass: (P,) or None.

    Raises:
        CovlawError: as `within_prompt_covariance`; also where a ratio overflows float64.
    """
    log_ratio = as_float64(log_ratio, "log_ratio")
    ratio = torch.expm1(log_ratio)
    if not bool(torch.isfinite(ratio).all()):
        row = tuple((~torch.isfinite(ratio)).nonzero()[0].tolist())
        raise CovlawError(
            f"log_ratio at row {row[0]} is {log_ratio[row].item()}: its exponential is not "
            "finite; check the log-probs of both policies on that completion"
        )
    return _covariance(rewards, ratio, weighting(Grouping(prompt, mass, prompt_mass)), ratio=True)


def _finite(values: Numbers, what: str, weights: Weighting, ndim: int | None = None) -> Tensor:
    values = as_float64(values, what, weights.groups.position.device)
    rows = weights.groups.position.shape[0]
    if values.shape[:1] != (rows,) or values.ndim not in ((ndim,) if ndim else (1, 2)):
        expected = {None: "(N,) or (N, M)", 1: "(N,)", 2: "(N, M)"}[ndim]
        raise CovlawError(
            f"{what} has shape {tuple(values.shape)} for {rows} completions: give {expected}"
        )
    bad = ~torch.isfinite(values)
    if bad.any():
        row = int(bad.nonzero()[0][0])
        raise CovlawError(f"{what} is not finite at row {row}: drop or mend that completion")
    return values

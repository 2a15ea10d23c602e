"""Where a batch's signal pulls each reward, and what the step did to it, as metrics of verl."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from covlaw.plugins.verl.rows import Rows
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.estimators.sign_certificate import sign_certified
from covlaw.theory.losses import effective_weight

SAME_IN_FLOAT32 = 2.0**-20
"""Values of one number that went through a few operations in float32 differ by less, relatively."""


class Seen(NamedTuple):
    """A batch before its step."""

    rows: Rows
    advantage: Tensor
    """(S,) of each completion; of those that observe, what it would have been."""
    constant: bool
    """Whether it is the same on all tokens of each completion: else no law in covariances holds."""
    mask: list[Tensor]
    """S, (T,) each: which tokens are the policy's."""
    judged: Tensor
    """(S,) bool: those that the law is read off, those that observe, or all where none do."""


def see(rows: Rows, advantage: list[Tensor], mask: list[Tensor]) -> Seen:
    """Take a batch's advantages and masks, tokens of N rows each."""
    by_token, masks = rows.joined(advantage), [m.bool() for m in rows.joined(mask)]
    spoken = [a[m].double() for a, m in zip(by_token, masks, strict=True)]
    value = torch.stack([a.mean() if len(a) else torch.zeros(()).double() for a in spoken])
    off = [(a - v).abs().max() if len(a) else v * 0 for a, v in zip(spoken, value, strict=True)]
    constant = bool(torch.stack(off).max() <= SAME_IN_FLOAT32 * value.abs().max())
    judged = rows.observes if bool(rows.observes.any()) else torch.ones_like(rows.observes)
    alone = torch.bincount(rows.prompt[judged], minlength=len(rows.prompt))[rows.prompt] < 2
    return Seen(rows, value, constant, masks, judged & ~alone)


def law_of(seen: Seen, actor: Any) -> Covariance | None:
    """Cov(r_j, s), s as the loss weighs the advantage; None where there is no such s."""
    if not seen.constant or not bool(seen.judged.any()):
        return None
    signal = seen.advantage * _token_weight(seen, actor)
    return within_prompt_covariance(*_judged(seen, signal))


def change_of(seen: Seen, log_ratio: list[Tensor]) -> Covariance:
    """Cov(r_j, π_new/π_old) from log-ratios, tokens of S completions (T8)."""
    return exact_change(*_judged(seen, sequence_log_ratio(seen, log_ratio)))


def clipped_of(seen: Seen, log_ratio: list[Tensor], actor: Any) -> Covariance | None:
    """Cov(r_j, W) with what verl's clipping leaves of the signal after the step (T18).

    None where the advantage differs from token to token or the loss is not verl's "vanilla" one.
    """
    if not seen.constant or actor.policy_loss.loss_mode != "vanilla":
        return None
    weight = effective_weight(
        seen.advantage,
        pad_sequence(log_ratio, batch_first=True),
        pad_sequence(seen.mask, batch_first=True),
        clip_low=min(_or(actor.clip_ratio_low, actor.clip_ratio), 1.0),
        clip_high=_or(actor.clip_ratio_high, actor.clip_ratio),
        dual_clip=actor.get("clip_ratio_c", 3.0),
    )
    return within_prompt_covariance(*_judged(seen, weight * _token_weight(seen, actor)))


def sequence_log_ratio(seen: Seen, log_ratio: list[Tensor]) -> Tensor:
    """(S,) over the policy's own tokens."""
    return torch.stack([r[m].double().sum() for r, m in zip(log_ratio, seen.mask, strict=True)])


def metrics_of(kind: str, names: list[str], found: Covariance) -> dict[str, float]:
    """covlaw/<kind>/<reward> and covlaw/<kind>_se/<reward>."""
    return metric(kind, names, found.estimate) | metric(f"{kind}_se", names, found.standard_error)


def metric(kind: str, names: list[str], values: Tensor) -> dict[str, float]:
    """covlaw/<kind>/<reward>."""
    return {f"covlaw/{kind}/{n}": v for n, v in zip(names, values.tolist(), strict=True)}


def falls(found: Covariance) -> Tensor:
    """(M,) bool: certainly down."""
    return sign_certified(found) & (found.estimate < 0)


def _token_weight(seen: Seen, actor: Any) -> Tensor:
    """(S,) by how much a completion's log-prob counts beside its advantage, as in T18."""
    lengths = torch.tensor([int(m.sum()) for m in seen.mask]).clamp(min=1).double()
    return 1 / lengths if actor.loss_agg_mode == "seq-mean-token-mean" else torch.ones_like(lengths)


def _judged(seen: Seen, signal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    part = seen.judged
    return seen.rows.filled[part], signal[part], seen.rows.prompt[part]


def _or(value: Any, other: Any) -> float:
    return float(other if value is None else value)

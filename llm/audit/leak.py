"""Audits under top-k or top-p: what the truncated policy gains where it could not go before (T8).

The policies compared are those that are sampled: tempered, truncated, renormalised. Their ratio is
0 where the new one cuts a token, and the old one's cut is what the new one's samples leak into.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.audit.terms import Transition
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.log_prob import chunks
from covlaw.llm.model.parameters import at
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.engine_gap import PIECE, all_log_prob, rounding_gap
from covlaw.llm.sampling.engines import truncation_of
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.sampling.truncation import kept
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import exact_change
from covlaw.theory.estimators.leak import leak_term


def leak_record(
    model: Any, test: SampledRollouts, new: SampledRollouts, moved: Transition, config: TrainConfig
) -> dict[str, Any]:
    """Both terms of T8 for the truncated policies; together they are the change of the objectives.

    Args:
        model: At π_new.
        test: Completions of π_old that took no part in the update.
        new: Completions of π_new for the same prompts.
        moved: The update.
        config: Of the run.

    Returns:
        "mass" and its "mass_se", the share of π_new's completions that π_old could not draw;
        "covariance" {estimate, se}, E_x Cov_old(r_j, ρ); "term" {estimate, se}, the leak's.
    """
    after = truncated_log_prob(model, test.completions, config, drawn_kept=False)
    with at(model, moved.old):
        before = truncated_log_prob(model, test.completions, config, drawn_kept=True)
        leaked = cut_by(model, new.completions, config)
    covariance = exact_change(test.rewards, after - before, test.prompt)
    groups = group_by_prompt(test.prompt)
    means = groups.sum(test.rewards * groups.share(None)[:, None])
    leak = leak_term(new.rewards, leaked, new.prompt, means)
    return {
        "mass": float(leak.mass),
        "mass_se": float(leak.mass_error),
        "covariance": _pair(covariance.estimate, covariance.standard_error),
        "term": _pair(leak.term, leak.term_error),
    }


def truncated_log_prob(
    model: Any, completions: Completions, config: TrainConfig, *, drawn_kept: bool
) -> Tensor:
    """(N,) float64 log-prob of each completion under truncation; −inf where a token is cut.

    `drawn_kept` says that this policy drew the completions: then a token that rounding would cut
    at the edge counts as kept.
    """
    found = []
    for piece, log_prob in _pieces(model, completions, config):
        keep = kept(log_prob, truncation_of(config))
        token = piece.tokens[..., None]
        if drawn_kept:
            keep = keep.scatter(2, token, True)
        chosen = log_prob.masked_fill(~keep, float("-inf")).double().log_softmax(-1)
        chosen = chosen.gather(2, token)[..., 0]
        found.append(torch.where(piece.mask, chosen, 0.0).sum(1))
    return torch.cat(found)


def cut_by(model: Any, completions: Completions, config: TrainConfig) -> Tensor:
    """(N,) bool: whether the model's truncation cuts a token of a completion, beyond rounding."""
    slack, found = rounding_gap(config, model), []
    for piece, log_prob in _pieces(model, completions, config):
        keep = kept(log_prob, truncation_of(config), slack)
        held = keep.gather(2, piece.tokens[..., None])[..., 0]
        found.append((~held & piece.mask).any(1))
    return torch.cat(found)


@torch.no_grad()
def _pieces(
    model: Any, completions: Completions, config: TrainConfig
) -> Iterator[tuple[Completions, Tensor]]:
    rows = max(PIECE // (completions.tokens.shape[1] * model.config.vocab_size), 1)
    for piece in chunks(completions, min(rows, config.micro_batch)):
        yield piece, all_log_prob(model, piece, config.temperature)


def _pair(estimate: Tensor, error: Tensor) -> dict[str, list[float]]:
    return {"estimate": estimate.tolist(), "se": error.tolist()}

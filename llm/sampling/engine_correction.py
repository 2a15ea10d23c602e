"""Truncated importance weights between the engine that samples and the policy that is trained."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.checks import check_choices
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.truncation import require_cap, truncated_weight

CORRECTIONS = ("off", "tis")
LEVELS = ("token", "sequence")
QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)


def check_correction(config: Any) -> None:
    """Refuse settings of the correction outside their domain.

    Raises:
        CovlawError: naming the setting, its value and the remedy.
    """
    check_choices(config, {"engine_correction": CORRECTIONS, "engine_level": LEVELS})
    require_cap(config.engine_cap)
    if config.engine_correction != "off" and (config.top_k or config.top_p < 1):
        raise CovlawError(
            'engine_correction is "tis" beside top_k or top_p: a truncated sampler gives tokens '
            "probability 0, which no weight makes up for; use top_k = 0 and top_p = 1"
        )


def importance_weight(log_prob: Tensor, drawn: Completions, config: Any) -> Tensor:
    """min(π/μ, C), one a completion (N,) or one a token (N, T), float64 (T52).

    Args:
        log_prob: (N, T) of the policy π that is trained, 0 on padding.
        drawn: What μ drew, with its own log-probs.
        config: Of the run: `engine_cap` C, `engine_level`.
    """
    gap = token_gap(log_prob, drawn)
    return truncated_weight(
        gap.sum(1) if config.engine_level == "sequence" else gap, config.engine_cap
    )


def token_gap(log_prob: Tensor, drawn: Completions) -> Tensor:
    """log π − log μ of each token: (N, T) float64, 0 on padding."""
    gap = log_prob.to(torch.float64) - drawn.log_prob.to(log_prob.device, torch.float64)
    return torch.where(drawn.mask.to(gap.device), gap, 0.0)


def weighed(advantage: Tensor, weight: Tensor) -> Tensor:
    """Multiply an advantage, (N,) or (N, T), by weights of either shape.

    Weights are positive, so that every clipped loss is that of the product.
    """
    if advantage.ndim == 1 and weight.ndim == 2:
        advantage = advantage[:, None]
    if advantage.ndim == 2 and weight.ndim == 1:
        weight = weight[:, None]
    return advantage * weight


def gap_record(log_prob: Tensor, drawn: Completions, config: Any) -> dict[str, float]:
    """How far apart engine and trainer are: quantiles of log π − log μ, and what is cut.

    `token_q…` over tokens, `sequence_q…` over completions, in nats; `cut`, where weights correct
    it: the share of weights that reached the cap.
    """
    gap = token_gap(log_prob, drawn)
    levels = torch.tensor(QUANTILES, dtype=torch.float64, device=gap.device)
    sequence, tokens = gap.sum(1), gap[drawn.mask.to(gap.device)]
    found: dict[str, float] = {}
    for name, values in (("token", tokens), ("sequence", sequence)):
        for level, value in zip(QUANTILES, _quantile(values, levels).tolist(), strict=True):
            found[f"{name}_q{round(100 * level):02d}"] = value
    if config.engine_correction == "tis":
        watched = sequence if config.engine_level == "sequence" else tokens
        found["cut"] = float((watched.exp() > config.engine_cap).double().mean())
    return found


def _quantile(values: Tensor, levels: Tensor) -> Tensor:
    """Nearest-rank quantiles; `torch.quantile` refuses more than 2^24 values."""
    ordered = values.sort().values
    place = (levels * (len(values) - 1)).round().long()
    return ordered[place] if len(values) else torch.zeros_like(levels)

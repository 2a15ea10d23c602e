"""What else an audit's sample shows: certificates, prompts apart, headroom, dominance, tails."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.audit.record import Evidence
from covlaw.llm.config.train_config import TrainConfig
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.held_out_headroom import FEWEST, held_out_headroom
from covlaw.theory.estimators.intervals import Limits, interval
from covlaw.theory.estimators.pareto import dominated_winners
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.estimators.rank_condition import FAILS, FULL, WEAKER, rank_condition
from covlaw.theory.estimators.sign_certificate import mean_ratio, sign_certified
from covlaw.theory.estimators.tails import importance_tail, truncated_log_ratio

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the prompts' covariances."""
DIGITS = 6
"""Significant digits of these entries: none of them enters another computation."""
_RANKS = {"full": FULL, "weaker": WEAKER, "fails": FAILS}


def audit_facts(evidence: Evidence, config: TrainConfig) -> dict[str, Any]:
    """Entries of an independent audit's record, from its sample of π_old alone.

    `certified`: signs that are certain (T21). `interval`: 95 % limits that cover, null where the
    samples say nothing. `mean_ratio`: 1 in truth. `per_prompt`: quantiles of the
    prompts' covariances and the share below 0; with K completions each they are noisy, so that the
    spread is an upper bound on that of the true ones. `headroom`: T36. `dominated`: see
    `_dominated`. `tails`: how far importance ratios can be trusted, with the exact form on ratios
    truncated at √N beside.
    """
    laws = _covariances(evidence)
    covariances = prompt_covariances(evidence.rewards, evidence.prompt)
    facts = {
        "certified": {name: sign_certified(found).tolist() for name, found in laws.items()},
        "interval": {name: limits(interval(found)) for name, found in laws.items()},
        "mean_ratio": _mean_ratio(laws["exact_change"]),
        "per_prompt": {
            name: _spread(laws[name]) for name in ("law", "exact_change") if name in laws
        },
        "headroom": _headroom(covariances, config),
        "dominated": _dominated(evidence),
        "tails": _tails(evidence),
    }
    return {name: rounded(value) for name, value in facts.items()}


def optimism(independent: dict[str, Any], same: dict[str, Any]) -> dict[str, list[float]]:
    """How much more the exact form promises on the batch that made the update, (M,) each.

    From two audit records; their samples are independent, and so are their errors.
    """
    ours, theirs = (
        {key: torch.tensor(record["exact_change"][key]) for key in ("estimate", "se")}
        for record in (independent, same)
    )
    error = (ours["se"].square() + theirs["se"].square()).sqrt()
    found = {"estimate": (theirs["estimate"] - ours["estimate"]).tolist(), "se": error.tolist()}
    return dict(rounded(found))


def rounded(value: Any) -> Any:
    """The same with every float at `DIGITS` significant digits, so that records stay small."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def limits(found: Limits) -> dict[str, list[float]]:
    """{low, high} of an interval, (M,) each."""
    return {"low": found.low.tolist(), "high": found.high.tolist()}


def _mean_ratio(change: Covariance) -> dict[str, float]:
    found = mean_ratio(change)
    return {"estimate": float(found.estimate), "se": float(found.standard_error)}


def _covariances(evidence: Evidence) -> dict[str, Covariance]:
    rewards, fields, prompt = evidence.rewards, evidence.fields, evidence.prompt
    found = {
        "first_order": within_prompt_covariance(rewards, fields.step, prompt),
        "exact_change": exact_change(rewards, fields.log_ratio, prompt),
    }
    if evidence.by_token:
        return found
    return {"law": within_prompt_covariance(rewards, fields.score, prompt), **found}


def _spread(covariance: Covariance) -> dict[str, list[Any]]:
    levels = torch.tensor(QUANTILES, dtype=torch.float64)
    quantiles = torch.quantile(covariance.per_prompt.cpu(), levels, dim=0)
    negative = (covariance.per_prompt < 0).double().mean(0)
    return {"quantiles": quantiles.T.tolist(), "negative": negative.tolist()}


def _headroom(covariances: PromptCovariances, config: TrainConfig) -> dict[str, Any]:
    """t* for equal targets of 1, and for CTWA's own, both as covariances with a GRPO advantage."""
    codes = rank_condition(covariances)
    found: dict[str, Any] = {
        "rank": {n: float((codes == c).double().mean()) for n, c in _RANKS.items()}
    }
    asked = {"equal": torch.ones(len(config.rewards), dtype=torch.float64)}
    target = getattr(config.make_scalarizer(), "target", None)
    if isinstance(target, Tensor) and bool((target > 0).any()):
        asked["target"] = target
    for name, targets in asked.items():
        room = headroom(covariances, targets.to(covariances.matrices))
        factor, lower = float(room.factor), float(room.lower)
        found[name] = {"factor": factor, "lower": lower, "bundle": room.bundle.tolist()}
        if len(covariances.matrices) >= FEWEST:
            apart = held_out_headroom(covariances, targets.to(covariances.matrices))
            value, error = float(apart.factor), float(apart.standard_error)
            found[name]["across"] = {"estimate": value, "se": error}
    return found


def _dominated(evidence: Evidence) -> dict[str, float]:
    """Share of prompts whose best completion another sampled one dominates in all objectives.

    Best by the training signal, which no dominated completion can be where all weights are
    positive; and best as the one that the update raised most.
    """
    signals = {"raised": evidence.fields.log_ratio}
    if not evidence.by_token:
        signals["winner"] = evidence.advantage
    shares = {
        name: dominated_winners(evidence.rewards, signal, evidence.prompt)
        for name, signal in signals.items()
    }
    return {name: float(share.mean()) for name, share in shares.items()}


def _tails(evidence: Evidence) -> dict[str, Any]:
    log_ratio = evidence.fields.log_ratio
    tail = importance_tail(log_ratio)
    truncated = exact_change(evidence.rewards, truncated_log_ratio(log_ratio), evidence.prompt)
    return {
        "pareto_k": tail.shape,
        "largest_k": tail.largest,
        "heavy": tail.heavy,
        "effective": tail.effective,
        "truncated": {
            "estimate": truncated.estimate.tolist(),
            "se": truncated.standard_error.tolist(),
        },
    }

"""What an audit knows of an engine that is not the policy: T52's two laws and their margin."""

from typing import Any

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.signals import Signals
from covlaw.llm.sampling.engine_correction import importance_weight, token_gap
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.estimators.truncation import truncation_margin


def engine_margin(
    signals: Signals, sample: SampledRollouts, config: TrainConfig
) -> dict[str, Any] | None:
    """The policy's own law and that of truncated weights, with what may lie between them.

    None where nothing is corrected, and under weights a token, which have no margin a completion.
    Both are covariances under π, estimated with importance weights that sum to 1 in each prompt:
    `target` Cov_π(r_j, A), `truncated` Cov_π(r_j, A·min(1, C·μ/π)), {estimate, se} (M,) each;
    `bound` (M,) is the mean over prompts of what the two can differ by, `effective` the mean
    effective number of completions a prompt. The model is at π_old.
    """
    if config.engine_correction == "off" or config.engine_level != "sequence":
        return None
    completions, device = sample.completions, sample.rewards.device
    log_prob = signals.log_prob(completions)
    weight = importance_weight(log_prob, completions, config).to(device)
    gap = token_gap(log_prob, completions).sum(1).to(device)
    groups = group_by_prompt(sample.prompt)
    mass = log_softmax_by_prompt(gap, groups.position, len(groups.prompts)).exp()
    plain = sample.trained_advantage().to(device) / weight
    found = truncation_margin(sample.rewards, plain, gap, config.engine_cap, sample.prompt, mass)
    effective = 1 / groups.sum(mass.square())
    return {
        **{
            name: {"estimate": law.estimate.tolist(), "se": _spread(law.per_prompt)}
            for name, law in (("target", found.target), ("truncated", found.truncated))
        },
        "bound": found.bound.mean(0).tolist(),
        "effective": float(effective.mean()),
    }


def _spread(per_prompt: torch.Tensor) -> list[float]:
    """Standard error over prompts: weights that were estimated are no known probabilities."""
    error: list[float] = (per_prompt.std(0) / len(per_prompt) ** 0.5).tolist()
    return error

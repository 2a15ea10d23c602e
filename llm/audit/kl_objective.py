"""The KL as one more objective: what it alone does to each of the others, before a step (T55)."""

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.signals import Signals
from covlaw.llm.model.log_prob import context_kl
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses.kl_penalty import kl_signal


def kl_objective(
    signals: Signals, sample: SampledRollouts, config: TrainConfig
) -> dict[str, list[float]] | None:
    """β·Cov(r_j, the KL's signal) on a sample of π_old, {estimate, se} (M,); None where unknown.

    In the reward the signal is −log π/π_ref of the whole completion, in units of the score before
    its normalisation; the law contains it: Cov(r_j, s) of the score that was trained is that of
    the rewards' part plus this. In the loss it is `loss_signal`, in units of the advantage; the
    law knows the policy loss only, and the record's `penalty` says what the KL did to the step.
    A loss that divides by a completion's length weighs tokens by what comes after them, which
    samples do not show: None. The model is at π_old.
    """
    if not config.kl_coefficient:
        return None
    if config.kl_place == "reward":
        pull = kl_signal(signals.distance(sample.completions), "k2")
    elif config.make_loss().aggregation == "sequence_mean":
        return None
    else:
        pull = loss_signal(signals, sample.completions, config)
    weighted = config.kl_coefficient * pull.to(sample.rewards.device)
    found = within_prompt_covariance(sample.rewards, weighted, sample.prompt)
    return {"estimate": found.estimate.tolist(), "se": found.standard_error.tolist()}


def loss_signal(signals: Signals, completions: Completions, config: TrainConfig) -> Tensor:
    """Σ_t (w_t − E[w_t | h_t]) of a KL in the loss, w_t = −dk/d log π of a token: (N,) float64.

    With d_t = log π/π_ref of a token: k3 w_t = e^{−d_t} − 1, whose mean after any h_t is 0; k2
    w_t = −d_t, its mean −KL(π ‖ π_ref) at h_t; k1 a constant. The token tilt along w_t moves
    objectives by the covariance with this sum (T16), not with what d = Σ_t d_t would give: the
    loss does not see that a token changes which contexts come later.
    """
    mask, estimator = completions.mask, config.kl_estimator
    apart = signals.log_prob(completions) - signals.log_prob(completions, signals.reference)
    pull = kl_signal(torch.where(mask, apart, 0.0).double(), estimator)
    if estimator == "k2":
        settings = config.temperature, config.micro_batch
        pull = pull + context_kl(signals.model, signals.reference, completions, *settings)
    return torch.where(mask, pull, 0.0).sum(1)

"""The KL in the reward as one more objective: what it alone does to each of the others (T55)."""

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.signals import Signals
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses.kl_penalty import kl_signal


def kl_objective(
    signals: Signals, sample: SampledRollouts, config: TrainConfig
) -> dict[str, list[float]] | None:
    """−β·Cov(r_j, log π/π_ref) on a sample of π_old, {estimate, se} (M,); None without it in s.

    In units of the score, before its normalisation. The law contains it: Cov(r_j, s) of the score
    that was trained is that of the rewards' part plus this. A KL in the loss is no part of the
    law; the record's `penalty` says what it does. The model is at π_old.
    """
    if not config.kl_coefficient or config.kl_place != "reward":
        return None
    pull = kl_signal(signals.distance(sample.completions), "k2").to(sample.rewards.device)
    found = within_prompt_covariance(sample.rewards, config.kl_coefficient * pull, sample.prompt)
    return {"estimate": found.estimate.tolist(), "se": found.standard_error.tolist()}

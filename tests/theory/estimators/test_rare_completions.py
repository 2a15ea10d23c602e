"""T8 on samples when change comes from few completions: no false alarm, and still power."""

import numpy as np
import pytest
import torch

from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.statements.judge import ERROR_RATE, critical_value
from covlaw.theory.worlds.updates import Update

PROMPTS, SEEN, FRESH = 32, 8, 16


def sampled_update(
    rng: np.random.Generator, rare: float, factor: float, claim: float = 0
) -> Update:
    """Two arms a prompt, reward 1 on the rare one, whose mass the update multiplies by `factor`.

    `claim` is added to the measured change: 0 for a true record.
    """
    prompt = np.repeat(np.arange(PROMPTS), SEEN)
    hit = rng.random(prompt.shape[0]) < rare
    other = np.log1p(-rare * factor) - np.log1p(-rare)
    log_ratio = torch.as_tensor(np.where(hit, np.log(factor), other))
    uniform = rng.random((PROMPTS, FRESH))  # common random numbers before and after
    change = ((uniform < rare * factor).astype(float) - (uniform < rare)).mean(1)
    rewards = torch.as_tensor(hit.astype(float))[:, None]
    fields = ScoreFields(rewards[:, 0], *[log_ratio] * 5)
    return Update(
        "rare",
        Rollouts(torch.as_tensor(prompt), rewards, ("rare",)),
        fields,
        torch.tensor([change.mean() + claim]),
        torch.tensor([change.std(ddof=1) / PROMPTS**0.5]),
    )


@pytest.mark.parametrize("factor", [0.2, 0.7, 3.0])
@pytest.mark.parametrize("rare", [0.001, 0.01, 0.1])
def test_true_changes_are_not_refuted(rare: float, factor: float) -> None:
    rng = np.random.default_rng([int(1000 * rare), int(10 * factor)])
    updates = [sampled_update(rng, rare, factor) for _ in range(100)]
    assert check_on(STATEMENTS["T8"], updates, "llm").violations == 0


def test_a_false_change_is_refuted() -> None:
    """Every comparison, and the slope of all of them together."""
    rng = np.random.default_rng(1)
    updates = [sampled_update(rng, 0.1, 0.7, claim=0.3) for _ in range(20)]
    assert check_on(STATEMENTS["T8"], updates, "llm").violations == 21


def test_few_prompts_widen_the_quantile() -> None:
    assert critical_value(90, 4) > critical_value(90, 31) > critical_value(90)
    rng = np.random.default_rng(0)
    # one comparison at the stated rate: t with 5 degrees, checked by simulation of its ratio
    draws = rng.normal(size=(400_000, 6))
    ratio = draws.mean(1) / (draws.std(1, ddof=1) / 6**0.5)
    share = (np.abs(ratio) > critical_value(1, 5)).mean()
    assert abs(share - ERROR_RATE) < 5 * (ERROR_RATE / 400_000) ** 0.5

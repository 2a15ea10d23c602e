"""Headroom of samples is low, and its `lower` no bound on the truth: by how much, is documented."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from covlaw.theory.estimators.headroom import Headroom, headroom
from covlaw.theory.estimators.held_out_headroom import held_out_headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances

PAGE = Path(__file__).parents[3] / "docs" / "limits.md"
MASS = np.array([0.2937, 0.2937, 0.2937, 0.1189])
"""Of three kinds of answers, each earning a reward of its own, and of those that earn none."""
TRUTH = (MASS[3] * (1 - MASS[3])) ** 0.5 / 3
"""By symmetry the least bundle has equal weights: a third of a Bernoulli's std, .108."""
PROMPTS, BATCHES = 8, 150
TARGETS = torch.ones(3, dtype=torch.float64)


def drawn(completions: int) -> list[PromptCovariances]:
    rng = np.random.default_rng(completions)
    prompt = torch.arange(PROMPTS).repeat_interleave(completions)
    kinds = rng.choice(4, size=(BATCHES, PROMPTS * completions), p=MASS)
    earned = torch.as_tensor(np.eye(4)[:, :3])
    return [prompt_covariances(earned[torch.as_tensor(row)], prompt) for row in kinds]


@cache
def found(completions: int) -> Headroom:
    columns = zip(*drawn(completions), strict=True)
    together = PromptCovariances(*(torch.stack(column) for column in columns))
    return headroom(together, TARGETS.expand(BATCHES, 3))


def said() -> tuple[list[float], float]:
    """The means at 2, 4, 8 and 16 completions, and the share of samples whose `lower` is above."""
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    numbers = re.search(
        r"a true \.108 it is (\.\d+), (\.\d+), (\.\d+) and (\.\d+) on average at 2, 4, 8 and 16 "
        r"completions of 8 prompts; `lower` lies above it in (\d+) % of samples of 16",
        text,
    )
    assert numbers is not None
    *means, share = map(float, numbers.groups())
    return means, share / 100


def test_it_is_as_low_as_the_page_says() -> None:
    assert pytest.approx(0.108, abs=5e-4) == TRUTH
    means, share = said()
    assert means == sorted(means)
    for completions, mean in zip((2, 4, 8, 16), means, strict=True):
        factor = found(completions).factor
        error = float(factor.std()) / BATCHES**0.5
        assert float(factor.mean()) + 4 * error < TRUTH
        # the page's numbers are a sample of the same size, rounded
        assert abs(float(factor.mean()) - mean) < 4 * 2**0.5 * error + 0.0005
    above = float((found(16).lower > TRUTH).double().mean())
    assert abs(above - share) < 4 * (2 * 0.25 * 0.75 / BATCHES) ** 0.5


def test_reading_on_other_prompts_takes_off_the_minimum_and_has_an_error() -> None:
    """At 16 completions; at few a std itself is low, which no halving mends."""
    read = [held_out_headroom(one, TARGETS) for one in drawn(16)[:60]]
    factor = np.array([float(one.factor) for one in read])
    error = factor.std(ddof=1) / len(factor) ** 0.5
    plain = float(found(16).factor[:60].mean())
    assert factor.mean() > plain
    assert abs(factor.mean() - TRUTH) < 0.1 * TRUTH + 4 * error
    assert 0.5 < np.mean([float(one.standard_error) for one in read]) / factor.std(ddof=1) < 2

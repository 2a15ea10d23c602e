"""Probes: the values they maximise are the conjectured ones, and a false bound is broken."""

import math

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.probes import PROBES, search
from covlaw.theory.probes.fourth_cumulant import FOURTH_CUMULANT
from covlaw.theory.probes.gradient_step import GRADIENT_STEP, least_progress
from covlaw.theory.probes.one_prompt_flip import ONE_PROMPT_FLIP
from covlaw.theory.probes.probe import Probe
from covlaw.theory.statements.tilts._cumulants import joint_cumulants
from covlaw.theory.tilts.thresholds import step_threshold


def instance(probe: Probe, seconds: float = 1.0) -> tuple[float, dict[str, torch.Tensor]]:
    best = search(probe, seconds, seed=1)
    described = probe.describe(best.parameters)
    return best.value, {k: torch.tensor(v, dtype=torch.float64) for k, v in described.items()}


@pytest.mark.parametrize("name", PROBES)
def test_no_conjecture_is_broken_and_each_is_nearly_attained(name: str) -> None:
    best = search(PROBES[name], seconds=1.0)
    assert best.value <= 1 + PROBES[name].slack
    assert best.value > {"gradient step": 0.7}.get(name, 0.99)


def test_the_reward_of_the_earliest_flip_really_flips_there() -> None:
    """Rebuild the optimal reward by brute force over its vertices: 0/1 but for one arm."""
    value, case = instance(ONE_PROMPT_FLIP, 0.5)
    policy, score, eta = case["π"], case["s"], float(case["η"])
    tilted = policy * torch.exp(eta * score)
    tilted = tilted / tilted.sum()
    best, reward = 0.0, torch.zeros(4, dtype=torch.float64)
    for bits in np.ndindex(2, 2, 2, 2):
        for free in range(4):
            r = torch.tensor(bits, dtype=torch.float64)
            gap = tilted - policy
            r[free] = 0.0
            r[free] = -float(gap @ r) / float(gap[free])
            covariance = float(policy @ (r * (score - policy @ score)))
            if -1e-12 <= float(r[free]) <= 1 + 1e-12 and covariance > best:
                best, reward = covariance, r.clone()
    assert value == pytest.approx(32 * best / eta, rel=1e-6)
    found = step_threshold(reward, score, torch.zeros(4, dtype=torch.int64), policy)
    assert float(found.certified) == pytest.approx(eta, rel=1e-4)
    assert float(found.one_prompt_ranges) <= eta * (1 + 1e-9)


def test_fourth_cumulant_is_that_of_the_best_indicator() -> None:
    value, case = instance(FOURTH_CUMULANT, 0.3)
    prompt = torch.zeros(5, dtype=torch.int64)
    indicators = torch.tensor(list(np.ndindex(2, 2, 2, 2, 2)), dtype=torch.float64).T
    fourth = joint_cumulants(indicators, case["s"], 3, Grouping(prompt, case["π"]))[2]
    assert value == pytest.approx(8 * float(fourth.abs().max()), rel=1e-9)


def test_a_quadratic_makes_the_progress_of_a_quadratic() -> None:
    """Slopes 1/2 everywhere but a last piece of slope 1 that is too short to matter."""
    flat = math.atanh(0.5) * torch.ones(5, dtype=torch.float64)
    slopes = torch.cat([flat, torch.tensor([20.0], dtype=torch.float64)])
    lengths = torch.tensor([0.0] * 5 + [-10.0], dtype=torch.float64)
    step, gamma = torch.zeros(1, dtype=torch.float64), 0.75
    value = float(least_progress(torch.cat([slopes, lengths, step])[None]))
    k, g = 0.5, gamma
    rate = ((k * (1 - g) + math.sqrt(4 - 2 * k * (1 + k) * g * (2 - g))) / (2 + k)) ** 2
    assert value == pytest.approx((1 - rate) / (1 - (1 - k * g) ** 2), rel=1e-3)


def test_a_false_bound_is_broken() -> None:
    def stretched(parameters: torch.Tensor) -> torch.Tensor:
        return 33 / 32 * ONE_PROMPT_FLIP.value(parameters)

    probe = Probe("33", "T6", "?", "false", 7, stretched, ONE_PROMPT_FLIP.describe, 1e-9)
    assert search(probe, 2.0).value > 1


def test_a_search_goes_on_from_an_earlier_best() -> None:
    first = search(GRADIENT_STEP, 0.5, seed=3)
    again = search(GRADIENT_STEP, 0.0, seed=4, start=first.parameters)
    assert again.value >= first.value

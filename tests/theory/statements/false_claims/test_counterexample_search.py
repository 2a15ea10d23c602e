"""The finder: exact sides, found cases confirmed by the float estimators and by simulation."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.solvers.min_norm import min_norm_weights
from covlaw.theory.statements import CLAIMS, Found, find_claim, smallest
from covlaw.theory.statements.false_claims._claim import opposed
from covlaw.theory.statements.false_claims._explicit.worlds import explicit_bandit
from covlaw.theory.statements.false_claims._rationals import (
    alignment,
    covariance,
    growing_policies,
)
from covlaw.theory.statements.false_claims.pl_objectives_do_not_add_up_to_a_pl_sum import (
    pl_modulus,
)


@cache
def found(id: str) -> Found:
    result = smallest(CLAIMS[id], seconds=60)
    assert result is not None
    return result


def tensor(values: Sequence[Fraction | int]) -> torch.Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def cov(policy: Sequence[Fraction], values: torch.Tensor, signal: torch.Tensor) -> float:
    mass = tensor(policy)
    prompt = torch.zeros(len(mass), dtype=torch.int64)
    return float(within_prompt_covariance(values[:, None], signal, prompt, mass).estimate)


@pytest.mark.parametrize("id", CLAIMS)
def test_forecast_and_outcome_disagree_exactly(id: str) -> None:
    contrast = found(id).contrast
    assert isinstance(contrast.forecast, Fraction)
    assert isinstance(contrast.outcome, Fraction)
    if id == "F7":  # neutral is forecast, so anything but 0 refutes it
        assert contrast.forecast == 0 != contrast.outcome
    else:
        assert contrast.forecast > 0 > contrast.outcome


def test_every_false_claim_of_the_theory_can_be_searched() -> None:
    assert list(CLAIMS) == [f"F{k}" for k in range(1, 19)]


EXAMPLES = {
    "F1": {"π": ("1/5", "1/5", "3/5"), "r": (0, 1, 0), "s": (0, 1, 1)},
    "F2": {"π": ("1/3",) * 3, "φ": (-1, -1, 0), "r": (0, 1, 0), "s": (0, 1, 1)},
    "F3": {"p": ("1/2", "1/10"), "product of the arm gaps": (-1, 3)},
    "F4": {"π": ("1/4", "1/2", "1/4"), "r": (0, 5, 1), "s": (0, 1, 2), "e^η": 4},
    "F5": {"π_old": ("1/4", "1/4", "1/2"), "π_θ": ("1/4", "1/2", "1/4"), "s": (1, 2, 0)},
    "F6": {"π": ("1/4", "1/4", "1/2"), "r": (0, 1, 1), "s": (1, 4, 0)},
    "F14": {"r": ((0, 1), (10, 11)), "s": ((1, 0), (11, 10))},
    "F17": {"π": ("1/4",) * 4, "r₁ = r₂": (0, 0, 0, 1), "r₃": (0, 1, 1, 0)},
}
"""THEORY's own counterexamples, in these units."""


@pytest.mark.parametrize("id", EXAMPLES)
def test_known_counterexamples_refute(id: str) -> None:
    case = {
        name: tuple(Fraction(v) if isinstance(v, str) else v for v in value)
        if isinstance(value, tuple)
        else value
        for name, value in EXAMPLES[id].items()
    }
    assert CLAIMS[id].refute(case) is not None


def test_five_is_the_smallest_denominator_of_f1() -> None:
    assert found("F1").case["π"] == (Fraction(1, 5), Fraction(1, 5), Fraction(3, 5))


def test_two_arms_never_oppose_the_policy_gradient() -> None:
    vectors = list(product(range(3), repeat=2))
    for _, policy in islice(growing_policies(2), 20):
        for r, s in product(vectors, vectors):
            assert opposed(covariance(policy, r, s), alignment(policy, r, s)) is None


def test_f1_in_floats() -> None:
    case = found("F1").case
    bandit = explicit_bandit("F1", case["π"], case["r"])
    reward, score = bandit.rewards[:, 0], tensor(case["s"])
    mass = bandit.row_weight()
    gradients = [bandit.score_sum(mass * (v - mass @ v)) for v in (reward, score)]
    assert float(gradients[0] @ gradients[1]) == pytest.approx(float(found("F1").contrast.outcome))
    assert cov(case["π"], reward, score) == pytest.approx(float(found("F1").contrast.forecast))


def test_f5_in_floats() -> None:
    case, contrast = found("F5").case, found("F5").contrast
    old, new, score = (tensor(case[name]) for name in ("π_old", "π_θ", "s"))
    advantage = score - old @ score
    log_ratio = (new / old).log()
    weight = effective_weight(advantage, log_ratio, clip_low=0.2, clip_high=0.2)
    kept = weight / log_ratio.exp()
    assert cov(case["π_θ"], score, kept) == pytest.approx(float(contrast.outcome))


def test_f6_in_floats() -> None:
    """All ordered pairs of completions through the real GRPO normaliser."""
    case, contrast = found("F6").case, found("F6").contrast
    policy, reward, score = (tensor(case[name]) for name in ("π", "r", "s"))
    total = 0.0
    for i, j in product(range(3), repeat=2):
        pair, group = torch.tensor([i, j]), group_by_prompt(torch.zeros(2, dtype=torch.int64))
        advantage = NORMALISERS["grpo"](score[pair], group)
        total += float(policy[i] * policy[j] * (reward[pair] * advantage).mean())
    assert total == pytest.approx(2**0.5 * float(contrast.outcome), rel=1e-5)  # GRPO adds 1e-6


def test_f8_really_diverges_on_reachable_targets() -> None:
    case = found("F8").case
    within, between, target = (np.array(case[name], dtype=float) for name in ("C", "B", "c"))

    def covered(log_weights: np.ndarray) -> np.ndarray:
        weights = np.exp(log_weights - log_weights.max())
        return within @ weights / np.sqrt(weights @ (within + between) @ weights)

    reachable = [covered(np.log([share, 1 - share])) for share in np.arange(1, 50) / 50]
    assert any((y > target).all() for y in reachable)
    log_weights = np.zeros(2)
    for _ in range(5000):
        log_weights += 0.05 * np.maximum(target - covered(log_weights), 0)
    assert covered(log_weights)[0] < target[0]
    assert log_weights[0] > 10


def test_f13_in_floats() -> None:
    case, contrast = found("F13").case, found("F13").contrast
    policy, rewards = tensor(case["π"]), torch.stack([tensor(r) for r in case["r"]], 1)
    gradients = policy[:, None] * (rewards - policy @ rewards)
    weights = min_norm_weights(gradients.T @ gradients)
    assert cov(case["π"], rewards[:, 0], rewards @ weights) == pytest.approx(
        float(contrast.outcome)
    )


def test_f15_in_floats() -> None:
    case, contrast = found("F15").case, found("F15").contrast
    policy, rewards = tensor(case["π"]), torch.stack([tensor(r) for r in case["r"]], 1)
    gaps = (tensor(case["z"]) - rewards) * tensor(case["w"])
    worst = int((policy @ gaps).argmax())
    assert cov(case["π"], rewards[:, worst], -gaps.amax(1)) == pytest.approx(
        float(contrast.outcome)
    )


@pytest.mark.parametrize(("derivative", "end"), [((0, 2, 1), 1), ((0, 1, 3), 2), ((0, 3, 1), 5)])
def test_pl_modulus_is_the_least_ratio_on_a_fine_grid(
    derivative: tuple[int, int, int], end: int
) -> None:
    grid = np.linspace(0, 60, 600_001)
    beyond = derivative[2] + end * (grid - 2)
    slope = np.where(grid <= 2, np.interp(grid, [0, 1, 2], derivative), beyond)
    height = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(grid))])
    ratio = slope[1:] ** 2 / (2 * height[1:])
    least = float(pl_modulus(derivative, end))
    assert ratio.min() >= least * (1 - 1e-9)  # the trapezoid rule is exact up to its sums
    assert ratio.min() <= least * 1.02  # the limit at infinity is only approached


@pytest.mark.parametrize(
    ("words", "id"),
    [("f10", "F10"), ("natural gradient", "F2"), ("MGDA", "F13"), ("pooled covariance", "F14")],
)
def test_claims_are_found_by_words(words: str, id: str) -> None:
    assert find_claim(words).id == id


@pytest.mark.parametrize("words", ["", "unrelated chatter", "the"])
def test_words_that_name_no_single_claim_list_the_candidates(words: str) -> None:
    with pytest.raises(CovlawError, match="F1"):
        find_claim(words)


def test_time_runs_out_without_a_result() -> None:
    assert smallest(CLAIMS["F1"], seconds=0.0) is None

"""Sign changes along the score, and T7 on random policies and mutated."""

from fractions import Fraction
from functools import cache
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.tilts import single_crossing_makes_the_law_hold_for_every_step as t7
from covlaw.theory.statements.tilts._single_crossing import law_holds_for_every_step, sign_changes
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

ZERO = torch.zeros(3, dtype=torch.int64)
F4 = Grouping(ZERO, torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def exact_changes(bandit: Bandit, objective: int, even: bool = False) -> list[int]:
    """Sign changes of c prompt by prompt, in rationals; `even` takes all masses as equal."""
    counts = []
    assert bandit.mass is not None
    for x in sorted(set(bandit.prompt.tolist())):
        rows = [k for k in (bandit.prompt == x).nonzero()[:, 0].tolist() if bandit.mass[k] > 0]
        mass = [Fraction(1) if even else Fraction(float(bandit.mass[k])) for k in rows]
        reward = [Fraction(float(bandit.rewards[k, objective])) for k in rows]
        mean = sum(m * r for m, r in zip(mass, reward, strict=True)) / sum(mass)
        levels: dict[float, Fraction] = {}
        for k, m, r in zip(rows, mass, reward, strict=True):
            score = float(bandit.score[k])
            levels[score] = levels.get(score, Fraction(0)) + m * (r - mean)
        signs = [c > 0 for _, c in sorted(levels.items()) if c != 0]
        counts.append(sum(a != b for a, b in pairwise(signs)))
    return counts


@given(bandits())
def test_never_more_sign_changes_than_exact_arithmetic_finds(bandit: Bandit) -> None:
    # what is below rounding counts as 0, which can only merge signs
    counts = sign_changes(bandit.rewards, bandit.score, bandit.groups)
    for objective in range(bandit.rewards.shape[1]):
        exact = exact_changes(bandit, objective)
        assert all(int(n) <= m for n, m in zip(counts[:, objective], exact, strict=True))


@given(bandits())
def test_whole_numbers_and_even_masses_are_counted_exactly(bandit: Bandit) -> None:
    _, position, counts = bandit.prompt.unique(return_inverse=True, return_counts=True)
    even = (1 / counts.double())[position]
    rewards, score = bandit.rewards.sign() + 2.0, bandit.score.sign()
    whole = bandit._replace(rewards=rewards, score=score, mass=even)
    computed = sign_changes(rewards, score, whole.groups)
    for objective in range(rewards.shape[1]):
        assert computed[:, objective].tolist() == exact_changes(whole, objective, even=True)


@given(bandits())
def test_the_certificate_holds_under_tilts_of_every_strength(bandit: Bandit) -> None:
    safe = law_holds_for_every_step(bandit.rewards, bandit.score, bandit.groups)
    law = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups).estimate
    prompts, mass, outer = bandit.groups
    assert mass is not None
    span = float(bandit.score.max() - bandit.score.min())
    for strength in (0.01, 1.0, 100.0):
        eta = strength / span if span > 0 else strength
        tilted = mass * tilt_log_ratio(bandit.score, eta, prompts, mass).exp()
        row = outer[prompts.unique(return_inverse=True)[1]] if outer is not None else 1.0
        change = (row * (tilted - mass)) @ bandit.rewards
        # tilted masses err by some roundings of the exponent and of the sums
        error = 64 * (16 + 8 * eta * float(bandit.score.abs().max())) * 2.0**-53
        error = error * len(mass) * bandit.rewards.abs().amax(0)
        wrong = safe & (change * law.sign() < -error)
        assert not bool(wrong.any())


def test_f4_has_two_sign_changes_and_no_certificate() -> None:
    reward, score = column(0, 1, 0.2), column(0, 0.5, 1)
    assert sign_changes(reward, score, F4).tolist() == [[2]]
    assert law_holds_for_every_step(reward, score, F4).tolist() == [False]


def test_a_reward_that_rises_with_the_score_crosses_once() -> None:
    score = column(3, 1, 2)
    both = torch.stack([score, -score.square()], 1)
    assert sign_changes(both, score, F4).tolist() == [[1, 1]]
    assert law_holds_for_every_step(both, score, F4).tolist() == [True, True]


def test_equal_scores_are_one_level() -> None:
    assert sign_changes(column(1, -1, 0), column(0.0, -0.0, 0), F4).tolist() == [[0]]


def test_constant_rewards_never_move() -> None:
    constant = torch.full((3,), 0.1, dtype=torch.float64)
    assert sign_changes(constant, column(0, 1, 2), F4).tolist() == [[0]]
    assert law_holds_for_every_step(constant, column(0, 1, 2), F4).tolist() == [False]


def test_prompts_that_disagree_are_not_certified() -> None:
    prompt = torch.tensor([0, 0, 1, 1])
    mass, score = torch.full((4,), 0.5).double(), column(0, 1, 0, 1)
    against, along = column(0, 2, 1, 0), column(0, 2, 0, 1)
    rewards = torch.stack([against, along], 1)
    rows = Grouping(prompt, mass)
    assert law_holds_for_every_step(rewards, score, rows).tolist() == [False, True]
    # a prompt that never occurs has no say
    only = torch.tensor([1.0, 0.0], dtype=torch.float64)
    rows = Grouping(prompt, mass, only)
    assert law_holds_for_every_step(rewards, score, rows).tolist() == [True, True]


def test_bad_input_is_refused() -> None:
    with pytest.raises(CovlawError, match="values"):
        sign_changes(column(1, 2), column(0, 1, 2), F4)


@cache
def worlds() -> list[World]:
    return list(islice(RUNG.worlds(np.random.default_rng(6), 40), 40))


def violations() -> int:
    statement = STATEMENTS["T7"]
    sides = [statement.sides(w, np.random.default_rng([0, k])) for k, w in enumerate(worlds())]
    judgement = judge(statement.kind, sides)
    assert judgement is not None
    return judgement.violations


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_t7_holds_and_its_control_is_refuted(seed: int) -> None:
    verdict = check("T7", "theory", seed, instances=60)
    assert verdict.status == "holds"
    assert verdict.tightness == 1  # the count of zeros is attained
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_t7_refutes_a_count_that_is_one_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations() == 0
    true = t7.sign_changes
    monkeypatch.setattr(t7, "sign_changes", lambda *args: (true(*args) - 1).clamp(min=0))
    assert violations() > 0


def test_t7_refutes_levels_that_are_not_sorted_by_the_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = t7.sign_changes

    def by_reward(rewards: Tensor, _score: Tensor, *groups: Tensor) -> Tensor:
        return true(rewards, rewards[:, 0], *groups)

    monkeypatch.setattr(t7, "sign_changes", by_reward)
    assert violations() > 0


def test_a_sign_hidden_below_rounding_certifies_nothing() -> None:
    """A rare winner: c = (−1e-14, +1e-14), the first below its level's rounding.

    A tilt of 100 lifts prompt 1 by nearly 1, prompt 0 loses at most ½: the law is negative at
    first and the change positive in the end.
    """
    rewards = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    score = torch.tensor([1.0, 0.0, 0.0, 1.0])
    prompt = torch.tensor([0, 0, 1, 1])
    mass = torch.tensor([0.5, 0.5, 1.0 - 1e-14, 1e-14], dtype=torch.float64)
    law = within_prompt_covariance(rewards, score, prompt, mass).estimate
    assert float(law) < 0
    assert not law_holds_for_every_step(rewards, score, Grouping(prompt, mass)).any()

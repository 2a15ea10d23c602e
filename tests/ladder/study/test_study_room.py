"""Distance to the frontier at equal KL, as a study measures it, against a search of our own."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

from covlaw.ladder.study.budgets import BUDGETS, PLACES, at_budget, rooms
from covlaw.ladder.study.plan import StudyJob, StudyRun
from covlaw.ladder.study.work import work
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import Course, train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.worlds import find_world


def trained(name: str, cell: int = 5, seeds: int = 2, steps: int = 20) -> tuple:
    world = find_world(name)
    ensemble = world.build(world.cells[cell], range(seeds))
    setting = Setting(ensemble.names, "raw", [0.5] * 3)
    arms = [Arm(find_algorithm("linear").make(setting), "raw", "off")] * seeds
    return ensemble, train_ensemble(ensemble, arms, steps, 4)


def two_rewards(ensemble: PolicyEnsemble, course: Course) -> tuple[PolicyEnsemble, Course]:
    """The same runs, of which two rewards are looked at."""
    from dataclasses import replace

    fewer = replace(ensemble, names=ensemble.names[:2], rewards=ensemble.rewards[..., :2])
    return fewer, course._replace(values=course.values[..., :2])


def searched(ensemble: PolicyEnsemble, values: Tensor, kl: float, run: int) -> float:
    """min over λ of h(λ) − λ·J with SciPy: a tilt by root finding, weights by a line search."""
    rewards = ensemble.by_prompt(ensemble.rewards)[run].numpy()
    size = rewards.max(1).mean(0) - rewards.min(1).mean(0)
    logits = ensemble.theta[run].numpy().reshape(rewards.shape[:2])
    mass = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scaled, own = rewards / size, values.numpy() / size

    def tilted(score: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        weight = mass * np.exp(strength * score)
        share = weight / weight.sum(1, keepdims=True)
        return float((share * np.log(share / mass)).sum(1).mean()), share

    def over(weight: float) -> float:
        score = scaled @ [weight, 1 - weight]
        strength = brentq(lambda s: tilted(score, s)[0] - kl, 1e-9, 200)
        gained = (tilted(score, strength)[1][..., None] * scaled).sum(1).mean(0)
        return float((gained - own) @ [weight, 1 - weight])

    best = minimize_scalar(over, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    return min(float(best.fun), over(0.0), over(1.0))


@pytest.fixture(scope="module")
def plain() -> tuple:
    return two_rewards(*trained("bandit"))


def test_room_is_what_a_search_of_our_own_finds_at_the_end_and_at_a_budget(plain) -> None:
    """To 1e-4 of the range: the search of `room_at_kl` ends at a 512th of the simplex's side."""
    ensemble, course = plain
    found = rooms(ensemble, course)
    for run in range(2):
        kl = float(course.divergence[-1, run])
        own = searched(ensemble, course.values[-1, run], kl, run)
        assert found[run, -1] == pytest.approx(own, abs=1e-4)
        assert abs(searched(ensemble, course.values[-1, run], 0.8 * kl, run) - own) > 1e-3
        reached = at_budget(course.values[:, run], course.divergence[:, run], 0.1)
        expected = searched(ensemble, reached, 0.1, run)
        assert found[run, PLACES.index("0.1")] == pytest.approx(expected, abs=1e-4)


def test_natural_gradients_have_none_left_and_a_budget_that_is_not_reached_has_no_number() -> None:
    ensemble, course = trained("bandit_natural", steps=8)
    found = rooms(ensemble, course)
    reached = course.divergence[-1, :, None] >= torch.tensor(BUDGETS)
    assert 0 < int(reached.sum()) < reached.numel()
    assert torch.equal(~torch.isnan(found[:, :-1]), reached)
    assert float(found[:, -1].abs().max()) < 1e-4


def test_a_studys_rows_have_it_at_every_place() -> None:
    run = StudyRun("bandit", 0, 0, "linear", "raw", "off", "sgd-1", "none", 0)
    (row,) = work(StudyJob("one", "bandit", 0, "sgd-1", (run,), quick=True), "")
    assert all((row[f"room_{b:g}"] is None) == (row[f"end_{b:g}"] is None) for b in BUDGETS)
    assert row["room"] > 0

"""T44, T45, F11: the batch is what autograd ascent does, and changed formulas are refuted."""

from itertools import islice

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from covlaw.theory.dynamics.softmax_convergence import (
    CURVATURE,
    progress,
    tilt_gap_bound,
    vanilla_gap_bound,
)
from covlaw.theory.geometry.smoothness import tabular_smoothness
from covlaw.theory.statements import check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.convergence import _symbolic_softmax as symbolic
from covlaw.theory.statements.convergence import softmax_reaches_its_best_completions as t44
from covlaw.theory.statements.convergence._softmax_rows import world_rows
from covlaw.theory.worlds.world import World
from covlaw.toys.bandit import bandit_world


@pytest.mark.parametrize(
    ("statement_id", "rung"),
    [
        ("T44", "theory"),
        ("T44", "bandit"),
        ("T44", "tabular"),
        ("T45", "theory"),
        ("T45", "bandit"),
        ("F11", "bandit"),
    ],
)
@pytest.mark.parametrize("seed", [0, 3])
def test_holds_and_its_control_is_refuted(statement_id: str, rung: str, seed: int) -> None:
    verdict = check(statement_id, rung, seed, instances=10 if rung != "theory" else None)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def autograd_gaps(world: World, step: float, steps: int) -> Tensor:
    """J*_x − J_x of every prompt after each step of real ascent on J of the only objective."""
    theta, gaps = world.theta, []
    reward = world.rewards[:, 0]
    best = torch.stack([reward[world.prompt == x].max() for x in world.prompt.unique()])
    for _ in range(steps + 1):
        mass = world.log_prob_at(theta).exp()
        short = mass * (best[world.prompt] - reward)
        gaps.append(torch.stack([short[world.prompt == x].sum() for x in world.prompt.unique()]))
        leaf = theta.clone().requires_grad_()
        value = world.row_weight(world.log_prob(leaf).exp()) @ reward
        theta = theta + step * torch.autograd.grad(value, leaf)[0]
    return torch.stack(gaps)


def test_rows_follow_real_ascent_on_the_whole_world() -> None:
    mass = torch.tensor([0.7, 0.3], dtype=torch.float64)
    world = bandit_world(np.random.default_rng(0), 2, 4, 1, 0.0, 1.0, mass)
    step = 1 / tabular_smoothness(world.rewards, world.prompt, mass).item()
    rows = world_rows(world)
    path = t44.ascend(rows)
    reward = world.rewards[:, 0].reshape(2, 4)
    span = reward.amax(1) - reward.amin(1)
    expected = autograd_gaps(world, step, t44.STEPS) / span
    torch.testing.assert_close(path.gap, expected, rtol=1e-11, atol=0)


def test_the_constant_is_thirteen_times_better_than_the_published() -> None:
    bound = vanilla_gap_bound(1.0, 0.5, 7)
    assert bound.item() == pytest.approx(2 * 3**0.5 / 9 / (0.25 * 7))
    published = 5 / (2 * CURVATURE)
    assert published == pytest.approx(12.99, abs=0.01)
    general = vanilla_gap_bound(3.0, 0.5, 7, 1 / (3 * CURVATURE))
    assert general.item() == pytest.approx(3 * bound.item())


def test_a_tilt_bound_is_attained_in_the_limit() -> None:
    mass = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    short = torch.tensor([1.0, 0.25, 0.0], dtype=torch.float64)
    tilted = mass * torch.exp(-200 * short)
    gap = (tilted * short).sum() / tilted.sum()
    assert (gap / tilt_gap_bound(mass, short, 200.0)).item() == pytest.approx(1, abs=1e-12)


def test_t44_refutes_a_smaller_smoothness_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t44, "progress", lambda span, step: progress(0.7 * span, step))
    assert check("T44", "theory", 0).status == "refuted"


def test_t44_refutes_tilts_that_decay_twice_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t44, "tilt_gap_bound", lambda m, d, s: tilt_gap_bound(m, d, 2 * s))
    assert check("T44", "theory", 0).status == "refuted"


def test_t44_refutes_a_rate_per_square_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_fast(span: float, mass: Tensor, steps: Tensor, step: Tensor) -> Tensor:
        return vanilla_gap_bound(span, mass, steps**2, step)

    monkeypatch.setattr(t44, "vanilla_gap_bound", too_fast)
    assert check("T44", "theory", 0).status == "refuted"


def test_plain_ascent_is_checked_only_where_logits_are_free() -> None:
    for world in islice(RUNG.worlds(np.random.default_rng(1), 20), 20):
        rows = world_rows(world)
        assert (len(rows.free_logits.step) > 0) == (world.tabular and len(rows.step) > 0)
        assert torch.isfinite(rows.shortfall).all()


@pytest.mark.parametrize(
    "residual",
    [
        lambda: symbolic.coordinate_residual(2),
        lambda: symbolic.rate_residual(-1),
        lambda: symbolic.tilt_residual(normalised=False),
        lambda: symbolic.two_arm_pl_residual(1),
        lambda: symbolic.regularised_gap_residual(-1),
        lambda: symbolic.regularised_gradient_residual(-1),
    ],
    ids=["coordinate", "rate", "tilt", "T45", "T46 gap", "T46 gradient"],
)
def test_mutated_proofs_leave_a_residual(residual) -> None:
    found = residual()
    symbols = sorted(found.free_symbols, key=str)
    point = {s: sp.Rational(1 + i, 13) for i, s in enumerate(symbols)}
    assert abs(sp.N(found.subs(point), 30)) > 1e-6

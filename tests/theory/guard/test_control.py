"""Curvature that the first order does not see: halving, and floors that pay for it (T60)."""

import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import Judged, curvature_floors, falls, guard_step, halved

GRADIENTS = torch.tensor([[1.0, 0.0, 0.0], [-0.5, 1.0, 0.0]]).double()
BEND = torch.tensor([0.05, 0.3]).double()
STEP = torch.tensor([1.0, 0.1, 0.5]).double()


def judge(step: Tensor) -> Judged:
    """J_j(θ + v) − J_j(θ) = g_j·v − L_j|v|²/2, the worst that L_j-smoothness allows."""
    change = GRADIENTS @ step - BEND * (step @ step) / 2
    return Judged(change, torch.zeros(2).double())


def test_the_guarded_step_falls_by_curvature_and_halving_mends_it_where_it_can() -> None:
    guarded = guard_step(STEP, GRADIENTS)
    assert (guarded.effects >= -1e-12).all()
    assert judge(guarded.step).change[1] < 0
    found = halved(guard_step(STEP, GRADIENTS, floor=[0.0, 0.08]), judge)
    assert found.passed
    assert found.factor < 1
    stuck = halved(guarded, judge, halvings=3)  # its effect is 0: no share of the step helps
    assert not stuck.passed
    assert stuck.factor == 0.125


def test_curvature_floors_ask_the_one_that_bends_and_keep_more_than_halving() -> None:
    found = curvature_floors(lambda b: guard_step(STEP, GRADIENTS, floor=b), judge)
    assert found.passed
    assert found.factor == 1.0
    by_halving = halved(guard_step(STEP, GRADIENTS, floor=[0.0, 0.08]), judge)
    assert found.judged.change[0] > by_halving.judged.change[0]


def test_only_certain_falls_count_where_changes_are_sampled() -> None:
    seen = Judged(torch.tensor([-0.1, -0.5, 0.0]).double(), torch.full((3,), 0.1).double())
    assert falls(seen, critical=2.0).tolist() == [False, True, False]
    assert falls(seen).tolist() == [True, True, False]
    assert falls(seen, floor=[-0.2, -0.6, 1.0]).tolist() == [False, False, False]


def test_a_change_that_is_not_finite_is_named() -> None:
    with pytest.raises(CovlawError, match="not finite"):
        halved(guard_step(STEP, GRADIENTS), lambda v: Judged(v[:2] * torch.nan, v[:2]))

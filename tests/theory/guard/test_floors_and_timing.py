"""Floors that restore, floors that certify, and when the guard is paid for."""

from typing import Any

import pytest
import torch
from scipy.stats import t as student

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import RestoringFloors, certified_floor, due, largest_strength, needed


def test_a_share_of_what_was_lost_since_the_start_is_asked_back() -> None:
    floors = RestoringFloors(2, strength=0.5)
    state = floors.init()
    assert floors.floor(state).tolist() == [0, 0]
    state = floors.update(state, [0.6, 0.4])
    assert floors.floor(state).tolist() == [0, 0]
    state = floors.update(state, torch.tensor([0.4, 0.9]))
    torch.testing.assert_close(
        floors.floor(state), torch.tensor([0.1, 0.0]).double(), atol=1e-8, rtol=0
    )


def test_references_and_running_means() -> None:
    best = RestoringFloors(1, 1.0, reference="best", fraction=0.5)
    state = best.init()
    for value in (0.2, 0.8, 0.3):
        state = best.update(state, [value])
    assert best.floor(state).item() == pytest.approx(0.2)  # .2 + half of .6, less .3
    target = RestoringFloors(2, 1.0, reference="target", target=(0.9, float("-inf")))
    state = target.update(target.init(), [0.5, 0.5])
    assert target.floor(state).tolist() == pytest.approx([0.4, 0.0])
    slow = RestoringFloors(1, 0.01, share=0.1)
    state = slow.update(slow.update(slow.init(), [1.0]), [0.0])
    assert slow.floor(state).item() == pytest.approx(0.01 * 0.1)


def test_an_objective_that_was_not_seen_is_as_before() -> None:
    nan = float("nan")
    floors = RestoringFloors(2, 1.0, reference="best", fraction=1.0)
    state = floors.update(floors.init(), [0.5, nan])
    assert floors.floor(state).tolist() == [0, 0]
    state = floors.update(floors.update(state, [nan, 0.75]), [0.25, nan])
    assert state.start.tolist() == [0.5, 0.75]
    assert state.mean.tolist() == [0.25, 0.75]
    assert floors.floor(state).tolist() == [0.25, 0.0]


def test_the_largest_strength_runs_from_a_quarter_of_the_share_to_1() -> None:
    assert largest_strength(1.0) == 1.0
    assert largest_strength(1e-6) / 1e-6 == pytest.approx(0.25, rel=1e-5)
    for share in (0.1, 0.5, 0.9):
        for factor, real in ((1 - 1e-6, True), (1 + 1e-6, False)):
            k = factor * largest_strength(share)
            matrix = torch.tensor([[1.0, -k], [share, 1 - share - k * share]]).double()
            roots = torch.linalg.eigvals(matrix)
            assert bool((roots.imag == 0).all()) == real


def test_certified_floors_are_students_bounds() -> None:
    found = certified_floor([0.1, 0.2], prompts=8, floor=0.05, level=0.9)
    expected = 0.05 + student.isf(0.05, 7) * torch.tensor([0.1, 0.2]).double()
    torch.testing.assert_close(found, expected)


def test_when_to_pay() -> None:
    assert [due("every 3", t) for t in range(4)] == [True, False, False, True]
    assert due("always", 5)
    assert not due("needed", 0)
    assert needed([-0.1, 0.1]).tolist() == [True, False]
    # 2 errors below 0 are no certainty with 3 prompts, they are with 300
    assert needed([-0.2, 0.1], 0.0, [0.1, 0.1], 3).tolist() == [False, False]
    assert needed([-0.2, 0.1], 0.0, [0.09, 0.1], 300).tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"strength": 0.0}, "strength"),
        ({"strength": 0.3, "share": 0.1}, "overshoots"),
        ({"reference": "worst"}, "choose start"),
        ({"reference": "target"}, "needs 2 target values"),
        ({"reference": "target", "target": (0.5, float("nan"))}, "cannot be reached"),
        ({"reference": "target", "target": ("a", "b")}, "target must be numbers"),
        ({"target": (0.5, 0.5)}, "set reference = 'target'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(CovlawError, match=what):
        RestoringFloors(2, **options)


def test_bad_input_is_named() -> None:
    floors = RestoringFloors(2)
    with pytest.raises(CovlawError, match="mean rewards"):
        floors.update(floors.init(), [float("inf"), 0.0])
    with pytest.raises(CovlawError, match="1 observed prompt"):
        certified_floor([0.1], prompts=1)
    with pytest.raises(CovlawError, match="level"):
        certified_floor([0.1], prompts=4, level=95)
    for when in ("sometimes", "every 0", "every x", "every ²"):
        with pytest.raises(CovlawError, match="every n"):
            due(when, 1)
    with pytest.raises(CovlawError, match="not finite"):
        needed([float("nan")])

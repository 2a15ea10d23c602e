"""The guarded step keeps floors, is never longer, and says what it could not do."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import correction, guard_step
from covlaw.theory.guard.products import PIECE, effects_of, gramian_of, squared_length


def problem(seed: int, objectives: int = 3, size: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    u, g = rng.normal(size=size), rng.normal(size=(objectives, size))
    return tuple(torch.as_tensor(x) for x in (u, g, rng.uniform(0.1, 3.0, size)))  # type: ignore


def length(step: Tensor, metric: Tensor) -> float:
    return float((step.square() / metric).sum().sqrt())


@pytest.mark.parametrize("seed", range(20))
def test_floors_are_kept_and_the_step_is_no_longer(seed: int) -> None:
    u, g, p = problem(seed)
    found = guard_step(u, g, p)
    assert (g @ found.step >= -1e-12).all()
    assert length(found.step, p) <= length(u, p) * (1 + 1e-14)
    torch.testing.assert_close(found.step, u + p * (found.weights @ g))
    torch.testing.assert_close(found.effects, g @ found.step, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(
        found.length, torch.tensor(length(found.step, p) / length(u, p)).double()
    )
    assert found.notes == ()
    assert not found.shortfall.any()


@pytest.mark.parametrize("seed", range(10))
def test_more_objectives_than_their_gradients_have_dimensions(seed: int) -> None:
    """Five objectives seen on two prompts: a singular Gramian of rank 2, floors that can be met."""
    u, g, p = problem(seed, objectives=2)
    mixing = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.5], [0.3, 3.0]]).double()
    g = mixing @ g  # a step that keeps the first two keeps them all
    found = guard_step(u, g, p)
    assert (g @ found.step >= -1e-9).all()
    assert length(found.step, p) <= length(u, p) * (1 + 1e-12)
    two = guard_step(u, g[:2], p)
    torch.testing.assert_close(found.step, two.step, atol=1e-9, rtol=0)


def test_in_the_metric_not_in_the_plain_one() -> None:
    """One objective: μ = −e/G with the metric's G = g'Pg, worked out by hand."""
    u, g = torch.tensor([-1.0, 0.0]).double(), torch.tensor([[1.0, 1.0]]).double()
    found = guard_step(u, g, torch.tensor([1.0, 3.0]).double())
    assert found.step.tolist() == [-0.75, 0.75]
    assert guard_step(u, g).step.tolist() == [-0.5, 0.5]


def test_a_step_that_harms_nobody_comes_back_to_the_bit() -> None:
    u, g, p = problem(0)
    g = g * (g @ u).sign()[:, None]
    found = guard_step(u.float(), g.float(), p.float())
    assert torch.equal(found.step, u.float())
    assert found.changed == 0
    assert found.length == 1


def test_positive_floors_shorten_the_whole_step_and_turn_no_sign() -> None:
    u, g, p = problem(1)
    found = guard_step(u, g, p, floor=5.0)
    assert found.scale < 1
    assert found.length <= 1 + 1e-12
    assert (g @ found.step > 0).all()
    assert found.shortfall.sum() > 1
    assert any("longer step" in note for note in found.notes)


@pytest.mark.parametrize("seed", range(40))
def test_a_gramian_that_is_too_small_never_lengthens_the_step(seed: int) -> None:
    """As crossed Gramians of few samples are: 1/100 of the gradients' own, or rank 1."""
    u, g, p = problem(seed)
    own = gramian_of(g, g, p)
    weak = own / 100 if seed % 2 else torch.ones(3, 3).double() * own.diagonal().min() / 50
    for floor in (0.0, 0.3, -0.1):
        found = guard_step(u, g, p, floor, gram=weak)
        assert length(found.step, p) <= length(u, p) * (1 + 1e-12)
        if found.carried < 1:
            assert found.notes
    naive = u + p * (guard_step(u, g, p, 0.0, gram=weak).weights / 1.0 @ g)
    assert length(naive, p) <= length(u, p) * (1 + 1e-12)


def test_a_correction_that_can_only_lengthen_is_refused() -> None:
    """The estimate of the effects is wrong in sign: g·u > 0 in truth, so all pull lengthens."""
    own, one = torch.eye(1).double(), torch.ones(()).double()
    fine = correction(own, -one.reshape(1), one)
    assert fine.carried == 1
    bad = correction(1e6 * own, -one.reshape(1), one, gram=own)
    assert bad.carried < 1e-5
    assert "applied" in bad.notes[0]


def test_some_objectives_only() -> None:
    u, g, p = problem(3)
    g = -g * (g @ u).sign()[:, None]
    found = guard_step(u, g, p, guarded=[True, False, False])
    assert found.weights[1:].tolist() == [0, 0]
    assert found.effects[0] >= -1e-12
    assert (found.before < 0).all()


def test_what_an_unguarded_objective_lacks_asks_nothing_of_the_step() -> None:
    """Its positive floor would cut the whole step instead of the correction that is too long."""
    u, g, p = problem(3)
    g = -g * (g @ u).sign()[:, None]
    weak = gramian_of(g, g, p) / 50
    kept = [True, False, False]
    found = guard_step(u, g, p, [0.0, 1.0, 1.0], gram=weak, guarded=kept)
    alone = guard_step(u, g, p, 0.0, gram=weak, guarded=kept)
    assert torch.equal(found.step, alone.step)
    assert found.carried < 1
    assert found.scale == 1


def test_an_objective_without_gradient_is_said_not_to_be_guarded() -> None:
    u, g, p = problem(4)
    g[1] = 0
    found = guard_step(u, g, p, names=["a", "clarity", "c"])
    assert found.notes == ("'clarity' has no gradient here: it is not guarded",)


def test_floors_that_no_step_meets_are_said() -> None:
    g = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    found = guard_step(torch.tensor([0.0, 1.0]).double(), g, floor=[0.1, 0.1])
    assert "no step meets every floor" in found.notes[0]
    torch.testing.assert_close(found.shortfall, torch.tensor([0.1, 0.1]).double())
    assert found.step.tolist() == [0, 1]


def test_a_coordinate_with_metric_0_stays_as_the_optimiser_left_it() -> None:
    u, g, p = problem(5)
    p[:4] = 0
    found = guard_step(u, -g * (g @ u).sign()[:, None], p)
    assert torch.equal(found.step[:4], u[:4])
    assert found.changed > 0


@pytest.mark.parametrize("floor", [0.0, 0.2, -0.1])
@pytest.mark.parametrize("weak", [False, True])
def test_what_unmoved_coordinates_lose_never_lengthens_the_step(floor: float, weak: bool) -> None:
    """Where P = 0 and u is not (weight decay, for one), their effects ask and do not count in |u|.

    Control: judged by the whole effects g·u, some of these steps would pass as short enough.
    """
    longer = 0
    for seed in range(40):
        u, g, p = problem(seed)
        p[:4] = 0.0
        u[:4] *= 3
        gram = gramian_of(g, g, p) / 50 if weak else None
        found = guard_step(u, g, p, floor, gram=gram)
        assert length(found.step[4:], p[4:]) <= length(u[4:], p[4:]) * (1 + 1e-12)
        blind = correction(gramian_of(g, g, p), g @ u, squared_length(u, p), floor, gram=gram)
        naive = blind.scale * (u + p * (blind.weights @ g))
        longer += length(naive[4:], p[4:]) > length(u[4:], p[4:]) * (1 + 1e-12)
    assert longer


def test_long_vectors_are_summed_piece_by_piece_in_float64() -> None:
    rng = torch.Generator().manual_seed(0)
    g, u = torch.randn(2, PIECE + 100, generator=rng), torch.randn(PIECE + 100, generator=rng)
    p = torch.rand(PIECE + 100, generator=rng) + 0.5
    wide = g.double()
    torch.testing.assert_close(
        gramian_of(g, g, p), (wide * p.double()) @ wide.T, rtol=1e-12, atol=0
    )
    torch.testing.assert_close(effects_of(g, u), wide @ u.double(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(squared_length(u, p), (u.double().square() / p.double()).sum())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"gradients": torch.full((2, 3), torch.nan)}, "the gradient of 'a', 'b' is not finite"),
        ({"step": torch.tensor([1.0, torch.inf, 0.0])}, "step has entries"),
        ({"gradients": torch.zeros(2, 4)}, "do not fit"),
        ({"metric": torch.tensor([1.0, -1.0, 1.0])}, "metric"),
        ({"metric": torch.tensor([1.0, torch.nan, 1.0])}, "metric"),
        ({"metric": torch.tensor([1.0, torch.inf, 1.0])}, "metric"),
        ({"metric": torch.ones(2)}, "metric"),
        ({"guarded": [True]}, "guarded"),
        ({"floor": float("nan")}, "floor"),
        ({"floor": [0.0, 0.0, 0.0]}, "floor has shape .3,. for 2 objectives"),
        ({"floor": "a"}, "floor must be numbers"),
        ({"gram": torch.eye(3)}, "gram has shape .3, 3. for 2 objectives"),
        ({"names": ["a"]}, "1 names for 2 objectives"),
        ({"gram": torch.tensor([[1.0, 2.0], [2.0, 1.0]])}, "semidefinite"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], what: str) -> None:
    good = {"step": torch.ones(3), "gradients": torch.eye(2, 3), "names": ["a", "b"]}
    with pytest.raises(CovlawError, match=what):
        guard_step(**{**good, **change})

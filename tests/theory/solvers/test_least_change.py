"""The guard's quadratic programme against exact enumeration, quadprog, and its certificate."""

from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF
from covlaw.theory.solvers.least_change import guard_weights, least_change

CERTIFIED = 64 * UNIT_ROUNDOFF
"""A gap that rounding explains, a row."""


def exact_step(rows: list[list[int]], step: list[int], floors: list[int]) -> list[Fraction] | None:
    """The nearest feasible step over the rationals, by enumerating active sets; None: no such.

    Of every set of independent rows the step is moved onto their floors; the nearest of those that
    keep all the floors is the answer.
    """
    gradients, start = sympy.Matrix(rows), sympy.Matrix(step)
    best: tuple[Any, Any] | None = None
    for size in range(min(gradients.shape) + 1):
        for active in combinations(range(len(rows)), size):
            held = gradients.extract(list(active), list(range(len(step))))
            gram = held * held.T
            if size and gram.det() == 0:
                continue
            missing = sympy.Matrix([floors[k] for k in active]) - held * start if size else None
            moved = start + held.T * gram.LUsolve(missing) if size else start
            effects = gradients * moved
            if all(effects[k] >= floors[k] for k in range(len(rows))):
                length = (moved - start).dot(moved - start)
                if best is None or length < best[0]:
                    best = (length, moved)
    return None if best is None else [Fraction(int(x.p), int(x.q)) for x in best[1]]


def small_problems(seed: int, count: int) -> list[tuple[list[list[int]], list[int], list[int]]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        objectives, dim = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        rows = rng.integers(-2, 3, size=(objectives, dim)).tolist()
        step, floors = rng.integers(-3, 4, size=dim), rng.integers(-2, 2, size=objectives)
        found.append((rows, step.tolist(), floors.tolist()))
    return found


def test_the_step_is_the_exact_nearest_and_infeasibility_is_said() -> None:
    solved = refused = 0
    for rows, step, floors in small_problems(0, 150):
        exact = exact_step(rows, step, floors)
        g, u = torch.tensor(rows).double(), torch.tensor(step).double()
        found = least_change(g @ g.T, g @ u, torch.tensor(floors).double())
        assert found.gap <= len(rows) * CERTIFIED
        assert bool(found.feasible) == (exact is not None)
        if exact is None:
            refused += 1
            continue
        solved += 1
        moved = u + found.weights @ g
        target = torch.tensor([float(x) for x in exact], dtype=torch.float64)
        assert (moved - target).abs().max() <= 1e-10 * target.abs().max().clamp(min=1.0)
        assert (found.shortfall == 0).all()
    assert solved >= 60
    assert refused >= 15


@st.composite
def hard_problems(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Duplicated, opposed, nearly equal or zero gradients, norms 1e6 apart; floors of any sign."""
    count, dim = draw(st.integers(1, 20)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = rng.normal(size=(draw(st.integers(1, count)), dim))
    rows = base[rng.integers(0, len(base), size=count)]
    rows = rows * rng.choice([-1.0, 0.0, 1.0, 1.0], (count, 1))
    rows = rows + draw(st.sampled_from([0.0, 1e-14, 1e-8, 1e-4, 1.0])) * rng.normal(size=rows.shape)
    rows *= 10 ** (draw(st.sampled_from([0.0, 3.0])) * rng.uniform(-1, 1, (count, 1)))
    above = draw(st.sampled_from([-1.0, 0.0, 1.0]))
    floors = above * rng.uniform(0, 1, count) * np.linalg.norm(rows, axis=1)
    return torch.as_tensor(rows), torch.as_tensor(rng.normal(size=dim)), torch.as_tensor(floors)


@given(hard_problems())
def test_certificate_is_rounding_on_hard_problems(
    problem: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    rows, step, floors = problem
    found = least_change(rows @ rows.T, rows @ step, floors)
    assert found.gap <= len(rows) * CERTIFIED
    assert (found.weights >= 0).all()
    if bool((floors <= 0).all()):  # doing nothing at all keeps them
        assert bool(found.feasible)
        moved = step + found.weights @ rows
        # a projection on a set that holds 0: shorter, up to what near-singular weights round
        size = step.norm() + found.weights @ rows.norm(dim=1)
        assert moved.norm() <= step.norm() + 64 * len(rows) * UNIT_ROUNDOFF * size


def test_what_cannot_be_met_is_missed_by_as_little_as_possible() -> None:
    """g and −g cannot both rise; floors 2 and 1 are lowered by 1.5 each, a third stays met."""
    gram = torch.tensor([[1.0, -1, 0], [-1, 1, 0], [0, 0, 4]]).double()
    found = least_change(gram, torch.zeros(3), torch.tensor([2.0, 1.0, 4.0]))
    assert not bool(found.feasible)
    torch.testing.assert_close(found.shortfall, torch.tensor([1.5, 1.5, 0.0]).double())
    torch.testing.assert_close(gram @ found.weights, torch.tensor([0.5, -0.5, 4.0]).double())
    flat = least_change(torch.zeros(2, 2), torch.zeros(2), torch.tensor([1.0, -1.0]))
    assert flat.weights.tolist() == [0, 0]
    assert flat.shortfall.tolist() == [1, 0]


def test_quadprog_agrees() -> None:
    quadprog = pytest.importorskip("quadprog")
    rng = np.random.default_rng(3)
    for count in (1, 2, 5, 10, 20):
        rows, step = rng.normal(size=(count, 3 * count)), rng.normal(size=3 * count)
        floors = rng.uniform(-1, 1, count)
        moved = quadprog.solve_qp(np.eye(3 * count), step, rows.T, floors)[0]
        mine = step + guard_weights(rows @ rows.T, rows @ step, floors).numpy() @ rows
        assert np.abs(mine - moved).max() <= 1e-10


def test_a_batch_is_solved_like_each_of_its_problems_to_the_bit() -> None:
    rng = np.random.default_rng(4)
    rows = torch.as_tensor(rng.normal(size=(24, 5, 3)))
    rows[3, 1], rows[5] = -rows[3, 0], 0.0
    gram, effects = rows @ rows.mT, torch.as_tensor(rng.normal(size=(24, 5)))
    together = least_change(gram.reshape(4, 6, 5, 5), effects.reshape(4, 6, 5), 0.1)
    alone = [least_change(g, e, 0.1) for g, e in zip(gram, effects, strict=True)]
    for field, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(field.reshape(24, *parts[0].shape), torch.stack(parts))


def test_correcting_each_floor_on_its_own_is_not_the_solution() -> None:
    """The nearest plausible mistake: it forgets what the other corrections do to a floor."""
    rows = torch.tensor([[1.0, 0.0], [-0.6, 0.8]]).double()
    effects, gram = rows @ torch.tensor([-1.0, -1.0]).double(), rows @ rows.T
    alone = (-effects).clamp(min=0) / gram.diagonal()
    assert (effects + gram @ alone).min() < -0.1
    assert (effects + gram @ guard_weights(gram, effects)).min() >= -1e-15


@pytest.mark.parametrize(
    ("gram", "effects", "floor", "what"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0], 0.0, "semidefinite"),
        ([[float("nan")]], [0.0], 0.0, "gram"),
        ([[1.0]], [float("nan")], 0.0, "effects"),
        ([[1.0]], [0.0], float("inf"), "floor"),
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0, 0.0], 0.0, "effects has shape"),
    ],
)
def test_bad_input_is_named(gram: Any, effects: Any, floor: Any, what: str) -> None:
    with pytest.raises(CovlawError, match=what):
        guard_weights(gram, effects, floor)

"""Min-norm weights: certified, scale-free, and equal to exact rational enumeration."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.min_norm import min_norm_point, min_norm_weights
from covlaw.theory.solvers.wolfe import value_and_gap

Vectors = list[list[int]]
SMALL_VECTORS = st.integers(1, 4).flatmap(
    lambda dim: st.lists(
        st.lists(st.integers(-2, 2), min_size=dim, max_size=dim), min_size=1, max_size=5
    )
)


def certified(count: int) -> float:
    """Twice what the method stops at, 4M + 8 roundings, plus the Gramian's own."""
    return float(rounding(1.0, 8 * count + 64))


def least_norm(vectors: Vectors) -> Fraction:
    """Smallest squared norm over all faces, in exact arithmetic.

    The minimiser lies inside a face with affinely independent corners, where the bordered system
    has one solution.
    """
    gram = sympy.Matrix(
        [[sum(a * b for a, b in zip(u, v, strict=True)) for v in vectors] for u in vectors]
    )
    best = min(gram[j, j] for j in range(len(vectors)))
    for size in range(2, len(vectors) + 1):
        for face in combinations(range(len(vectors)), size):
            inner, ones = gram.extract(list(face), list(face)), sympy.ones(size, 1)
            bordered = inner.row_join(ones).col_join(ones.T.row_join(sympy.zeros(1, 1)))
            if bordered.det() == 0:
                continue
            solution = bordered.LUsolve(sympy.Matrix([0] * size + [1]))[:size]
            if min(solution) >= 0:
                point = sympy.Matrix(solution)
                best = min(best, (point.T * inner * point)[0])
    return Fraction(int(best.p), int(best.q))


@given(SMALL_VECTORS)
def test_value_is_that_of_exact_enumeration(vectors: Vectors) -> None:
    rows = torch.tensor(vectors, dtype=torch.float64)
    found = min_norm_point(rows @ rows.T)
    largest = rows.square().sum(1).max()
    assert found.value.item() == pytest.approx(
        float(least_norm(vectors)), abs=4 * certified(len(vectors)) * float(largest) + 1e-300
    )


@st.composite
def hard_gradients(draw: st.DrawFn) -> torch.Tensor:
    """Duplicated, opposed, nearly equal or zero gradients, norms 1e6 apart, any scale."""
    count, dim = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = rng.normal(size=(draw(st.integers(1, count)), dim))
    rows = base[rng.integers(0, len(base), size=count)] * rng.choice(
        [-1.0, 0.0, 1.0, 1.0], (count, 1)
    )
    rows = rows + draw(st.sampled_from([0.0, 1e-14, 1e-8, 1e-4, 1.0])) * rng.normal(size=rows.shape)
    rows *= 10 ** (draw(st.sampled_from([0.0, 3.0])) * rng.uniform(-1, 1, (count, 1)))
    return torch.as_tensor(rows * 10.0 ** draw(st.integers(-12, 12)))


@given(hard_gradients())
def test_certificate_is_rounding_on_hard_gramians(rows: torch.Tensor) -> None:
    found = min_norm_point(rows @ rows.T)
    assert found.gap.item() <= certified(rows.shape[0])
    assert bool((found.weights >= 0).all())
    assert found.weights.sum().item() == pytest.approx(1.0, abs=8 * certified(1))


@given(hard_gradients(), st.integers(-40, 40))
def test_powers_of_two_change_nothing(rows: torch.Tensor, exponent: int) -> None:
    gram = rows @ rows.T
    plain, scaled = min_norm_point(gram), min_norm_point(gram * 2.0**exponent)
    assert torch.equal(plain.weights, scaled.weights)
    assert torch.equal(plain.value * 2.0**exponent, scaled.value)


def test_a_batch_is_solved_like_each_of_its_problems() -> None:
    rows = torch.as_tensor(np.random.default_rng(0).normal(size=(40, 5, 3)))
    gram = rows @ rows.mT
    together = min_norm_point(gram.reshape(8, 5, 5, 5))
    alone = torch.stack([min_norm_weights(g) for g in gram])
    torch.testing.assert_close(together.weights.reshape(40, 5), alone, rtol=0, atol=1e-12)
    assert together.value.shape == (8, 5)
    assert together.gap.max().item() <= certified(5)


def test_cvxpy_agrees() -> None:
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(1)
    for count in (2, 4, 8):
        rows = rng.normal(size=(count, count + 1)) + 0.4
        point = cvxpy.Variable(count, nonneg=True)
        goal = cvxpy.Minimize(cvxpy.sum_squares(rows.T @ point))
        problem = cvxpy.Problem(goal, [cvxpy.sum(point) == 1])
        problem.solve(solver="CLARABEL")
        found = min_norm_point(torch.as_tensor(rows @ rows.T))
        assert found.value.item() == pytest.approx(problem.value, abs=1e-7)  # Clarabel's gap
        assert found.value.item() <= problem.value + 1e-10


def test_gap_sees_wrong_weights() -> None:
    gram = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    gap = value_and_gap(gram[None], torch.tensor([[0.6, 0.4]], dtype=torch.float64))[1]
    assert gap.max().item() > 0.05


@pytest.mark.parametrize(
    ("gram", "weights"),
    [
        ([[3.0]], [1.0]),
        ([[0.0, 0.0], [0.0, 0.0]], None),
        ([[1.0, 1.0], [1.0, 1.0]], None),
        ([[1.0, -1.0], [-1.0, 1.0]], [0.5, 0.5]),
        ([[1.0, 2.0], [2.0, 5.0]], [1.0, 0.0]),
        ([[1.0, 0.0], [0.0, 1e12]], [1.0, 1e-12]),
    ],
)
def test_small_cases(gram: list[list[float]], weights: list[float] | None) -> None:
    found = min_norm_weights(torch.tensor(gram, dtype=torch.float64))
    assert found.sum().item() == pytest.approx(1.0, abs=1e-15)
    if weights is not None:
        assert found.tolist() == pytest.approx(weights, rel=4e-12)


@pytest.mark.parametrize(
    "gram",
    [
        [[float("nan")]],
        [[1.0, float("inf")], [float("inf"), 1.0]],
        [[1.0, 2.0]],
        [],
        [1.0],
        [[1.0, 0.5], [0.4, 1.0]],
        [[1.0, 2.0], [2.0, 1.0]],
        [[0.0, 1.0], [1.0, 0.0]],
        [[-1.0]],
    ],
)
def test_what_is_no_gramian_is_refused(gram: list[list[float]]) -> None:
    with pytest.raises(CovlawError, match="gram"):
        min_norm_point(torch.tensor(gram, dtype=torch.float64))


def test_a_problem_alone_and_in_a_batch_have_one_answer() -> None:
    """Two implementations of the same cycles: unique minimisers agree, gaps are as small."""
    generator = torch.Generator().manual_seed(3)
    for count in (1, 2, 3, 5, 10, 20):
        rows = torch.randn(40, count, count + 3, generator=generator, dtype=torch.float64)
        rows = rows + torch.rand(40, 1, 1, generator=generator, dtype=torch.float64)
        rows = rows * 10 ** (2 * torch.randn(40, count, 1, generator=generator).double())
        grams = rows @ rows.mT
        together = min_norm_point(grams)
        for gram, weights in zip(grams, together.weights, strict=True):
            alone = min_norm_point(gram)
            assert float(alone.gap) <= 16 * count * 2.0**-53
            condition = float(torch.linalg.cond(gram[weights > 0][:, weights > 0]))
            error = 64 * count * 2.0**-53 * max(condition, 1.0) ** 0.5
            assert torch.allclose(alone.weights, weights, rtol=0.0, atol=error)


def test_a_batch_of_one_is_bitwise_what_it_is_among_others() -> None:
    """Runs of a study leave their batch one by one; the last one's numbers must not change."""
    generator = torch.Generator().manual_seed(5)
    rows = torch.randn(50, 3, 4, generator=generator, dtype=torch.float64)
    grams = rows @ rows.mT
    together = min_norm_point(grams).weights
    for r in range(50):
        assert torch.equal(min_norm_point(grams[r : r + 1]).weights[0], together[r])


def test_degenerate_problems_alone_are_certified() -> None:
    """Equal rows, opposed rows, a row of zeros, all zeros: a minimiser, whichever."""
    row = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    for rows in ([row, row], [row, -row], [row, 0 * row], [0 * row, 0 * row], [row, row, -row]):
        stacked = torch.stack(rows)
        found = min_norm_point(stacked @ stacked.mT)
        assert float(found.gap) <= 2.0**-46
        assert float(found.weights.sum()) == pytest.approx(1.0, abs=2.0**-50)

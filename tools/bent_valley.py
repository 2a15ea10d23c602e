"""Find the table of theory/statements/convergence/_bent_valley.py: `python tools/bent_valley.py`.

Of quadratic splines φ on a grid, linear on the outer rings, with |∇²φ| ≤ 1 and |∇φ| ≥ 1 the one
that one gradient step from a gradient of given length lowers least. |∇φ| ≥ 1 is not convex;
n·∇φ ≥ 1 with unit vectors n, a cell each, implies it: convex programmes in a row take n from the
last one's gradients. All conditions are on Bernstein coefficients, so they hold everywhere.
"""

from collections.abc import Iterator

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from covlaw.theory.statements.convergence._bent_valley import RINGS, START, STEP

Array = NDArray[np.float64]
SIZE, CELLS = 16, 14
LENGTH = 1.02
"""Of the gradient at the start, in units of the least."""
SPAN = 6
"""Cells that the step crosses: its length `STEP`·`LENGTH` sets the grid's width."""
WIDTH = STEP * LENGTH / SPAN
TURN, ROUNDS = 0.8, 12
"""How far n turns along the step at first, in radians; programmes."""
VALUE = np.array([[0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5]])
FIRST = np.array([[-1, 1, 0], [-0.5, 0, 0.5], [0, -1, 1]]) / WIDTH
SECOND = np.array([[1, -2, 1]] * 3) / WIDTH**2
"""A cell's three coefficients → Bernstein coefficients of degree 2, and of the derivatives."""
PLACES = [(a, b) for a in range(CELLS) for b in range(CELLS)]


def bernstein(along: Array, across: Array) -> sparse.csr_matrix:
    """All cells' nine coefficients, a row each."""
    local, rows = np.kron(along, across), []
    for a, b in PLACES:
        row = sparse.lil_matrix((9, SIZE**2))
        row[:, [(a + i) * SIZE + b + j for i in range(3) for j in range(3)]] = local
        rows.append(row)
    return sparse.vstack(rows).tocsr()


GRADIENT = bernstein(FIRST, VALUE), bernstein(VALUE, FIRST)
XX, XY, YY = bernstein(SECOND, VALUE), bernstein(FIRST, FIRST), bernstein(VALUE, SECOND)


def row_at(x: float, y: float, order: tuple[int, int] = (0, 0)) -> Array:
    """What a point's value, or first derivatives, take of the coefficients."""
    found = np.zeros((SIZE, SIZE))
    (a, along), (b, across) = (_one(t, k) for t, k in zip((x, y), order, strict=True))
    found[a - 1 : a + 2, b - 1 : b + 2] = np.outer(along, across)
    return found.ravel()


def _one(place: float, order: int) -> tuple[int, Array]:
    cell = int(np.floor(place + 0.5))
    s = place - cell + 0.5
    bernsteins = np.array([(1 - s) ** 2, 2 * s * (1 - s), s * s])
    return cell, bernsteins @ (FIRST if order else VALUE)


def conditions(directions: Array) -> Iterator[tuple[sparse.csr_matrix, Array, list[object]]]:
    """Yield A, b and cones of A·c + s = b: start, rings, gradient and curvature."""
    start = np.array([row_at(*START, order) for order in ((0, 0), (1, 0), (0, 1))])
    edge = [k for k, ab in enumerate(PLACES) if min(ab) == 0 or max(ab) == CELLS - 1]
    ring = np.array([9 * k + t for k in edge for t in range(9)])
    straight = sparse.vstack([sparse.csr_matrix(start), XX[ring], XY[ring], YY[ring]])
    values = np.r_[0.0, -LENGTH, np.zeros(straight.shape[0] - 2)]
    yield straight, values, [clarabel.ZeroConeT(len(values))]
    n = np.repeat(directions, 9, 0)
    along = sparse.diags(n[:, 0]) @ GRADIENT[0] + sparse.diags(n[:, 1]) @ GRADIENT[1]
    yield -along, -np.ones(len(n)), [clarabel.NonnegativeConeT(len(n))]
    order = np.arange(3 * len(n)).reshape(3, -1).T.ravel()
    for sign in (1, -1):
        bent = sparse.vstack([sign * (XX + YY) / 2, (XX - YY) / 2, XY]).tocsr()[order]
        yield bent, np.tile([1.0, 0.0, 0.0], len(n)), [clarabel.SecondOrderConeT(3)] * len(n)


def solve(directions: Array) -> Array:
    """Coefficients (SIZE²,) of the least fall, in units where both bounds are 1."""
    parts = list(conditions(directions))
    matrix = sparse.vstack([part[0] for part in parts]).tocsc()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    found = clarabel.DefaultSolver(
        sparse.csc_matrix((SIZE**2,) * 2),
        -row_at(START[0] + SPAN, START[1]),
        matrix,
        np.concatenate([part[1] for part in parts]),
        [cone for part in parts for cone in part[2]],
        settings,
    ).solve()
    print(f"{found.status}: falls by {found.obj_val / STEP:.4f} of a quadratic's")
    return np.array(found.x)


def main() -> None:
    """Print the slope and the table."""
    turned = TURN * np.clip((np.array(PLACES)[:, 0] + 1 - START[0]) / SPAN, 0, 1)
    directions = np.stack([-np.cos(turned), np.sin(turned)], 1)
    for _ in range(ROUNDS):
        found = solve(directions)
        mean = np.stack([(part @ found).reshape(-1, 9).mean(1) for part in GRADIENT], 1)
        directions = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    table = found.reshape(SIZE, SIZE) / WIDTH**2
    slope = table[1, 0] - table[0, 0], table[0, 1] - table[0, 0]
    straight = table[0, 0] + np.add.outer(slope[0] * np.arange(SIZE), slope[1] * np.arange(SIZE))
    print("SLOPE =", tuple(round(float(s), 4) for s in slope))
    print(np.rint(1000 * (table - straight)).astype(int)[RINGS:-RINGS, RINGS:-RINGS])


if __name__ == "__main__":
    main()

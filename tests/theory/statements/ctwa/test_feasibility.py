"""The matrix game: certified, equal to other solvers, and THEORY's example."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements.ctwa._feasibility import max_margin
from covlaw.theory.statements.ctwa._problems import draw_problems, one_prompt
from covlaw.theory.statements.ctwa.all_objectives_can_rise_unless_a_bundle_is_constant import decide


def test_example_where_the_margin_beats_the_min_norm() -> None:
    matrix = torch.tensor([[1.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    game, norm = max_margin(matrix), min_norm_point(matrix)
    assert (game.weights.tolist(), game.value.item()) == ([0.0, 1.0], 2.0)
    assert (norm.weights.tolist(), norm.value.item()) == ([1.0, 0.0], 1.0)


def test_both_players_certify_the_value() -> None:
    rng = np.random.default_rng(0)
    game = max_margin(torch.as_tensor(rng.normal(size=(3, 50, 6, 6))))
    assert game.value.shape == (3, 50)
    # HiGHS solves to 1e-7 at worst; a vertex is exact to rounding
    assert float((game.upper - game.value).abs().max()) < 1e-12
    assert bool((game.weights >= 0).all())


def test_two_by_two_games_agree_with_a_line_search() -> None:
    for matrix in np.random.default_rng(1).normal(size=(20, 2, 2)):
        best = max(
            minimize_scalar(
                lambda p, m=matrix: -(m @ [p, 1 - p]).min(), bounds=bounds, method="bounded"
            ).fun
            * -1
            for bounds in ((0, 1), (0, 0.5), (0.5, 1))
        )
        assert max_margin(torch.as_tensor(matrix)).value.item() == pytest.approx(best, abs=1e-4)


def test_targets_scale_the_rows() -> None:
    matrix = torch.eye(2, dtype=torch.float64)
    game = max_margin(matrix, torch.tensor([1.0, 3.0]))
    assert game.weights.tolist() == pytest.approx([0.25, 0.75])
    assert game.value.item() == pytest.approx(0.25)


@pytest.mark.parametrize("decimals", [0.0, 1e-12])
def test_opposed_rewards_are_infeasible_and_equal_ones_are_not(decimals: float) -> None:
    opposed = decide(one_prompt([[1.0, -1.0], [-1.0, 1.0 + decimals]]))
    assert not opposed.by_margin.item() or not opposed.decided.item()
    assert decide(one_prompt([[1.0, 1.0], [1.0, 1.0]])).by_margin.item()


def test_few_random_problems_are_borderline() -> None:
    problems = list(draw_problems(np.random.default_rng(0), 200))
    assert all(decide(batch).decided.double().mean() > 0.9 for batch in problems)


@pytest.mark.parametrize(
    ("matrix", "targets"),
    [
        ([[1.0, 2.0]], None),
        ([[float("nan")]], None),
        ([[1.0]], [0.0]),
        ([], None),
    ],
)
def test_bad_input_is_refused(matrix: list[list[float]], targets: list[float] | None) -> None:
    goal = None if targets is None else torch.tensor(targets)
    with pytest.raises(CovlawError):
        max_margin(torch.tensor(matrix), goal)

"""T56 and T57: hand-worked instances, and mutants that the judge refutes."""

import math
from fractions import Fraction
from itertools import islice, product

import numpy as np
import pytest
import torch

from covlaw.theory.estimators.best_of_n import best_of_n
from covlaw.theory.estimators.frontier import frontier
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.surrogates import adaptive_weights_end_on_a_frontier as t56
from covlaw.theory.statements.surrogates import best_of_n_is_known_from_more_samples as t57


def violations(id: str) -> int:
    """With whatever a test has put in the statement's place."""
    drawn = islice(RUNG.worlds(np.random.default_rng(5), 20), 20)
    return check_on(STATEMENTS[id], list(drawn), "theory").violations


def test_t56_by_hand_two_arms() -> None:
    """π = (1/2, 1/2), r_1 = (0, 1), r_2 = (1, 0), Λ = (log 3, 0): the tilt is (1/4, 3/4).

    Two steps along (log 3 + a, a) − … end at the same place, since only Λ_1 − Λ_2 counts here.
    """
    rewards, half = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0.5, 0.5])
    found = frontier(rewards, [0, 0], [math.log(3), 0.0], [1.0], half)
    assert found.values[0].tolist() == pytest.approx([0.75, 0.25], rel=1e-14)
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert found.kl[0].item() == pytest.approx(kl, rel=1e-14)
    moved = frontier(rewards, [0, 0], [math.log(3) + 2, 2.0], [1.0], half)
    assert moved.values[0].tolist() == pytest.approx([0.75, 0.25], rel=1e-14)


def test_t56_is_refuted_where_a_step_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations("T56") == 0
    whole = t56._frontier
    monkeypatch.setattr(t56, "_frontier", lambda world, total: whole(world, 0.9 * total))
    assert violations("T56") > 0


def test_t57_by_hand_three_samples_with_a_tie() -> None:
    """s = (0, 1, 1): best of 2 is a tied one in all 3 pairs, so r = (6, 0, 3) gives 3/2."""
    found = best_of_n(torch.tensor([[6.0], [0.0], [3.0]]), [0.0, 1.0, 1.0], [7, 7, 7], 2)
    assert found.estimate.tolist() == [1.5]


def test_t57_is_unbiased_in_rationals() -> None:
    """π = (1/2, 1/3, 1/6), s = (0, 1, 2), r = (1, 0, 5), K = 3, n = 2: over all 27 batches."""
    chance, reward = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)], [1, 0, 5]
    truth = sum(chance[a] * chance[b] * reward[max(a, b)] for a, b in product(range(3), repeat=2))
    total = 0.0
    for batch in product(range(3), repeat=3):
        values = torch.tensor([[float(reward[y])] for y in batch])
        found = best_of_n(values, [float(y) for y in batch], [0, 0, 0], 2)
        total += float(chance[batch[0]] * chance[batch[1]] * chance[batch[2]]) * found.estimate[0]
    assert float(total) == pytest.approx(float(truth), rel=1e-14)


def test_t57_is_refuted_with_ranks_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert violations("T57") == 0
    monkeypatch.setattr(
        t57, "best_of_n", lambda r, s, p, n, mass: best_of_n(r, s, p, min(n + 1, 4), mass)
    )
    assert violations("T57") > 0

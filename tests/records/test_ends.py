"""Who fell and who was sacrificed, with the numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from covlaw.records.constants import CERTAIN, END_STEPS, SACRIFICE
from covlaw.records.ends import run_ends, window


def curve(start: float, end: float, steps: int = 40) -> np.ndarray:
    """(T, 1): `start` in the first half, `end` in the second."""
    return np.repeat([start, end], steps // 2)[:, None]


@pytest.mark.parametrize(
    ("steps", "width"), [(1, 1), (9, 1), (20, 2), (45, 4), (100, 10), (10_000, END_STEPS)]
)
def test_ends_are_a_tenth_of_the_run_and_never_overlap(steps: int, width: int) -> None:
    assert window(steps) == width
    assert steps < 2 or 2 * width <= steps


def test_the_error_of_a_difference_of_two_means() -> None:
    found = run_ends(curve(0.8, 0.5), np.full((40, 1), 0.02))
    # 4 steps at either end: √(8·.02²)/4
    assert found.error[0] == pytest.approx(0.02 * np.sqrt(8) / 4, rel=1e-15)
    assert found.change[0] == pytest.approx(-0.3, rel=1e-15)
    assert found.lost[0] == pytest.approx(0.3 / 0.8, rel=1e-15)


def test_a_sacrifice_is_large_and_beyond_noise() -> None:
    error = 0.02 * np.sqrt(8) / 4  # .0141
    quiet, loud = np.full((40, 1), 0.02), np.full((40, 1), 0.2)
    cases = {
        "large and certain": (run_ends(curve(0.8, 0.5), quiet), True, True),
        "large, within noise": (run_ends(curve(0.8, 0.5), loud), False, False),
        "certain and small": (run_ends(curve(0.8, 0.8 - 3.1 * error), quiet), True, False),
        "a rise": (run_ends(curve(0.5, 0.8), quiet), False, False),
        "error unknown": (run_ends(curve(0.8, 0.0), np.full((40, 1), np.nan)), False, False),
        "one step": (run_ends(curve(0.8, 0.8)[:1], quiet[:1]), False, False),
    }
    for name, (found, fallen, sacrificed) in cases.items():
        assert (bool(found.fallen[0]), bool(found.sacrificed[0])) == (fallen, sacrificed), name


def test_the_thresholds_are_where_they_are_said_to_be() -> None:
    quiet = np.full((40, 1), 1e-6)
    for share, expected in ((SACRIFICE - 0.001, False), (SACRIFICE + 0.001, True)):
        assert bool(run_ends(curve(0.5, 0.5 * (1 - share)), quiet).sacrificed[0]) == expected
    error = 0.02 * np.sqrt(8) / 4
    for sizes, expected in ((CERTAIN - 0.01, False), (CERTAIN + 0.01, True)):
        found = run_ends(curve(0.1, 0.1 - sizes * error), np.full((40, 1), 0.02))
        assert bool(found.sacrificed[0]) == expected


def test_what_was_to_lose_is_counted_from_the_worst_reward() -> None:
    quiet = np.full((40, 1), 0.01)
    found = run_ends(curve(-1.0, -1.2), quiet, worst=-5.0)
    assert found.lost[0] == pytest.approx(0.2 / 4, rel=1e-12)
    assert not found.sacrificed[0]
    assert run_ends(curve(-1.0, -1.2), quiet).sacrificed[0], "to its lowest so far: all of it"


def test_objectives_that_do_not_move_fall_as_rarely_as_said() -> None:
    """Student's tail at 2w(P − 1) degrees of freedom, as the docstring states it."""
    rng, runs, steps, prompts = np.random.default_rng(0), 40_000, 20, 16
    samples = rng.normal(0.5, 0.1, size=(steps, runs, prompts))
    errors = samples.std(2, ddof=1) / prompts**0.5
    share = run_ends(samples.mean(2), errors).fallen.mean()
    tail = stats.t.sf(CERTAIN, 2 * window(steps) * (prompts - 1))
    assert tail == pytest.approx(0.0020, abs=5e-5)
    assert abs(share - tail) < 4 * (tail / runs) ** 0.5
    for freedom, said in ((60, 0.0020), (30, 0.0027), (20, 0.0035)):
        assert stats.t.sf(CERTAIN, freedom) == pytest.approx(said, abs=5e-5)

"""Runs of natural gradients end where the frontier says; others are measured against it."""

import json

import pytest

from covlaw.toys.measurements.look_ahead import measure

NATURAL, PLAIN = ("bandit_natural", "sgd-.05", 1), ("bandit", "sgd-1", 1)


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return measure(0, quick=True, worlds=(NATURAL, PLAIN))


def of(records: list[dict], world: str, algorithm: str, guard: str = "none") -> list[dict]:
    wanted = (world, algorithm, guard)
    return [r for r in records if (r["world"], r["algorithm"], r["guard"]) == wanted]


def test_linear_natural_gradients_end_on_the_frontier_along_their_weights(records) -> None:
    """T56, at a finite step of .05: a step along the gradient is a tilt up to its square."""
    own = of(records, "bandit_natural", "linear")
    assert own
    for row in own:
        assert row["change"] == pytest.approx(row["ahead"], abs=2e-3)
        assert abs(row["room"]) < 1e-4
        assert row["gain"] == pytest.approx(row["gain_ahead"], rel=5e-3)


def test_whatever_the_weights_natural_gradients_stay_on_it_and_plain_ones_do_not(records) -> None:
    for algorithm, guard in (("ctwa-guided", "none"), ("covariance_mgda", "none")):
        assert all(abs(r["room"]) < 1e-4 for r in of(records, "bandit_natural", algorithm, guard))
    assert all(r["room"] > 3e-4 for r in of(records, "bandit", "linear"))


def test_no_run_has_more_of_its_weighted_sum_than_the_tilt_of_its_kl(records) -> None:
    assert all(row["gain"] <= row["gain_ahead"] + 1e-6 for row in records)
    assert all(row["room"] > -1e-7 for row in records)


def test_records_are_plain_and_reproducible(records) -> None:
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert measure(0, quick=True, worlds=(NATURAL,)) == records[: len(records) // 2]

"""What a ladder measures besides verdicts: plain records, the same ones each time."""

import json

import pytest

from covlaw.ladder.climb.plan import Settings, exact_jobs
from covlaw.theory.worlds.rungs import RUNG_NAMES
from covlaw.toys.measurements import MEASUREMENTS, measure

CHEAP = 6.0
"""Seconds on one core; of the dearer ones their own tests compare seeds."""


DEAR = ("geometry", "look_ahead", "budgets", "calibration")
"""Some seconds each even where quick."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in MEASUREMENTS]
)
def test_records_are_json_without_nan_and_the_same_twice(name: str) -> None:
    records = measure(name, 3, quick=True)
    assert records
    text = json.dumps(records, allow_nan=False)
    assert text == json.dumps(measure(name, 3, quick=True), allow_nan=False)


@pytest.mark.parametrize("name", [n for n, m in MEASUREMENTS.items() if m.cost <= CHEAP])
def test_another_seed_measures_something_else(name: str) -> None:
    assert measure(name, 3, quick=True) != measure(name, 4, quick=True)


def test_a_ladder_measures_what_its_rungs_allow() -> None:
    for rungs in (RUNG_NAMES, ("theory",), ("bandit", "transformer")):
        measured = {j.name for j in exact_jobs(Settings(rungs)) if j.kind == "measure"}
        assert measured == {n for n, m in MEASUREMENTS.items() if set(m.rungs) <= set(rungs)}

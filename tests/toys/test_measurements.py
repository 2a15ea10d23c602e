"""What a ladder measures besides verdicts: plain records, the same ones each time."""

import json

import pytest

from covlaw.ladder.plan import Settings, exact_jobs
from covlaw.theory.rungs import RUNG_NAMES
from covlaw.toys.measurements import MEASUREMENTS, measure


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_records_are_json_without_nan_and_the_same_twice(name: str) -> None:
    records = measure(name, 3, quick=True)
    assert records
    text = json.dumps(records, allow_nan=False)
    assert text == json.dumps(measure(name, 3, quick=True), allow_nan=False)
    assert text != json.dumps(measure(name, 4, quick=True), allow_nan=False)


def test_a_ladder_measures_what_its_rungs_allow() -> None:
    for rungs in (RUNG_NAMES, ("theory",), ("bandit", "transformer")):
        measured = {j.name for j in exact_jobs(Settings(rungs)) if j.kind == "measure"}
        assert measured == {n for n, m in MEASUREMENTS.items() if set(m.rungs) <= set(rungs)}

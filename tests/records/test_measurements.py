"""A measurement's records are picked by their fields, and numbers are said as they are."""

import pytest

from covlaw.records.findings import span
from covlaw.records.measurements import distinct, having, of_kind
from covlaw.records.study import mean_of, percent

ROWS = [
    {"kind": "path", "world": "b", "rate": 0.1},
    {"kind": "end", "world": "a"},
    {"kind": "path", "world": "a", "rate": 0.1},
    {"kind": "path", "world": "a", "rate": 0.2},
]


def test_records_are_picked_by_every_field_and_keep_their_order() -> None:
    assert having(ROWS, world="a") == ROWS[1:]
    assert having(ROWS, kind="path", world="a") == ROWS[2:]
    assert distinct(ROWS, "world") == ["b", "a"]


def test_a_field_that_is_missing_is_named_except_between_kinds() -> None:
    with pytest.raises(KeyError, match="rate"):
        having(ROWS, rate=0.1)
    with pytest.raises(KeyError, match="rate"):
        distinct(ROWS, "rate")
    assert of_kind(ROWS, "path", rate=0.1) == [ROWS[0], ROWS[2]]
    assert of_kind(ROWS, "end", rate=0.1) == []


def test_a_span_is_one_number_where_both_ends_are_written_alike() -> None:
    assert span([5.2, 3.1, float("nan")]) == "3–5"
    assert span([0.44, 0.41]) == "0"
    assert span([0.44, 0.41], 2, to=" to ") == "0.41 to 0.44"
    assert span([float("inf")]) == "unknown"


def test_a_mean_that_no_run_reached_is_not_written_as_a_share() -> None:
    cell = {"sacrifices": {"mean": 0.25, "n": 4}, "at": {"0.1": {"sacrifices": {"n": 0}}}}
    assert percent(mean_of(cell, "sacrifices")) == "25 %"
    assert percent(mean_of(cell, "sacrifices", "0.1")) == "none"
    assert percent(mean_of(None, "sacrifices"), "–") == "–"

"""The remainder figure claims what its records hold."""

from pathlib import Path

import pytest
from fake_runs import lines, remainder, write_ladder

from covlaw.figures.registry import Description, load


def _words(folder: Path, *changes: tuple[dict, dict]) -> Description:
    """Title and caption of the made-up records; each (which, fields) changes those that match."""
    records = remainder()
    for which, fields in changes:
        chosen = [r for r in records if which.items() <= r.items()]
        assert chosen
        for record in chosen:
            record |= fields
    write_ladder(folder)
    lines(folder / "remainder.jsonl", records)
    return load("remainder").describe(folder)


def test_title_and_caption_are_counted(tmp_path: Path) -> None:
    words = _words(tmp_path)
    assert words.title == (
        "Both bounds hold: the remainder reaches 95.00000 % of its own, the sign turns at "
        "1.5000000 times its threshold"
    )
    assert "100 random enumerated bandits" in words.caption
    assert "0 of 200 random ones exceed" in words.caption
    assert "7 (1 prompt) and 7 (3 prompts) of 50 each, 0 before the threshold" in words.caption


def test_sharpness_is_claimed_where_both_bounds_are_reached(tmp_path: Path) -> None:
    near = {"kind": "extremal"}, {"down": 0.9999}
    turn = {"what": "turn of one prompt"}, {"constant": 32.001}
    assert "sharp" not in _words(tmp_path / "one", near).title
    assert "sharp" not in _words(tmp_path / "other", turn).title
    both = _words(tmp_path / "both", near, turn).title
    assert both.startswith("Both bounds hold and are sharp: the remainder reaches 99.99000 %")
    assert "turns at 1.0000312 times" in both


@pytest.mark.parametrize(
    ("which", "fields"),
    [
        ({"what": "remainder"}, {"of_bound": 1.1}),
        ({"kind": "extremal"}, {"up": 1.1}),
        ({"what": "turn of several prompts"}, {"constant": 20.0}),
        ({"kind": "random turn", "prompts": 1}, {"earliest": 31.0}),
    ],
)
def test_a_broken_bound_is_said(tmp_path: Path, which: dict, fields: dict) -> None:
    title = _words(tmp_path, (which, fields)).title
    assert title.startswith("1 of 10 records break a bound: the remainder reaches")


def test_worlds_in_which_no_sign_turns_are_described(tmp_path: Path) -> None:
    none = {"turned": 0, "points": [], "earliest": None}
    words = _words(tmp_path, ({"kind": "random turn"}, none))
    assert "0 (1 prompt) and 0 (3 prompts) of 50" in words.caption
    assert "1.5000000 times" in words.title

"""The look-ahead figure claims what its records hold."""

from pathlib import Path

from fake_runs import lines, look_ahead, write_ladder

from covlaw.figures.registry import Description, load


def _words(folder: Path, **changes: object) -> Description:
    records = look_ahead()
    for record in records:
        if not record.get("path") and record["algorithm"] == "linear":
            record |= changes
    write_ladder(folder)
    lines(folder / "look_ahead.jsonl", records)
    return load("look_ahead").describe(folder)


def test_title_and_caption_are_counted(tmp_path: Path) -> None:
    words = _words(tmp_path)
    assert "forecasts 100 % of the signs at the end, the bare law 50 %" in words.title
    assert "4 enumerated runs (2 of them with equal fixed weights and no guard)" in words.caption
    assert "transformer 100 % against 50 %, 90 % of the gain" in words.caption
    assert "Largest room of any run: 0.020" in words.caption


def test_what_is_forecast_wrongly_is_said(tmp_path: Path) -> None:
    words = _words(tmp_path, ahead=[-0.3, 0.1], room=0.25)
    assert "forecasts 0 % of the signs" in words.title
    assert "Largest room of any run: 0.250" in words.caption


def test_changes_too_small_to_have_a_sign_are_left_out(tmp_path: Path) -> None:
    words = _words(tmp_path, change=[0.4, -0.005])
    assert "forecasts 100 % of the signs at the end, the bare law 100 %" in words.title

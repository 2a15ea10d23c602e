"""What docs/real.md says of recorded runs is what the record says, however many there are."""

from pathlib import Path

from fake_real import CHANGES, write_real
from real_tables import BLOCKS, PAGE, page, said

from covlaw.records.real import real_record


def test_the_committed_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python tools/real_tables.py"
    for name in BLOCKS:
        assert f"<!-- {name} -->" in text
        assert f"<!-- /{name} -->" in text


def test_what_is_certain_is_told_from_what_is_not(tmp_path: Path) -> None:
    record = real_record(write_real(tmp_path))
    text = " ".join(said(record).split())
    assert "Held out, by 95 % intervals, guarding left thorough higher." in text
    assert "not at equal KL" in text
    assert (
        "Held out, by 95 % intervals, `ctwa-fast` raises right and ends and lowers thorough."
        in text
    )
    assert "the exact form certifies 0 of 48 signs" in text
    for run in record["runs"].values():  # nothing moved at all
        run["by_prompt"] = record["base"]["by_prompt"]
    text = " ".join(said(record).split())
    assert "under linear weights, no reward changed, by 95 % intervals" in text
    assert "guarding made no difference by 95 % intervals" in text
    assert "`mgda` changes no reward." in text


def test_a_part_of_the_runs_is_enough(tmp_path: Path) -> None:
    for methods in (("linear",), ("guarded",), ("mgda", "linear"), tuple(CHANGES)):
        record = real_record(write_real(tmp_path, 1, methods))
        for block in BLOCKS.values():
            if block.__name__ != "made":  # the machine is not made up
                assert block(record).strip()

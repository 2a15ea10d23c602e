"""The study's tables in docs/interference.md are what the record says."""

from interference_tables import PAGE, page


def test_the_committed_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run `make docs`"

"""The tables of docs/limits.md are what the records say."""

from limits_tables import BEGIN, END, PAGE, page


def test_the_committed_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text
    assert text == page(text), "run `make docs`"

"""Pairs whose verdicts were written down before they were judged.

`answers.tsv` was written before the reading of answers itself, `answers_by_kind.tsv` in three
rounds later, kind by kind of what models write: thousands, repeating decimals, logarithms, Unicode,
Markdown, colours, units, words that change a value, near misses. What a round found wrong was
mended before the next. "unread" are right answers in words that are refused.
"""

from pathlib import Path

import pytest

from covlaw.llm.rewards.equivalence import equivalent

PAIRS = [
    tuple(line.split("\t"))
    for name in ("answers.tsv", "answers_by_kind.tsv")
    for line in Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
]


def test_the_tables_are_whole() -> None:
    kinds = [kind for kind, *_ in PAIRS]
    assert set(kinds) == {"same", "different", "unread"}
    assert min(kinds.count("same"), kinds.count("different")) >= 350
    assert kinds.count("unread") <= 10
    assert len(set(PAIRS)) == len(PAIRS)


@pytest.mark.parametrize(("kind", "answer", "reference"), PAIRS)
def test_a_pair_is_judged_right(kind: str, answer: str, reference: str) -> None:
    assert equivalent(answer, reference) is (kind == "same")

"""275 pairs written before the reading of answers was: mathematics, words, units, adversaries."""

from pathlib import Path

import pytest

from covlaw.llm.rewards.equivalence import equivalent

LINES = Path(__file__).with_name("answers.tsv").read_text(encoding="utf-8").splitlines()
PAIRS = [tuple(line.split("\t")) for line in LINES]


def test_the_table_is_whole() -> None:
    kinds = [kind for kind, *_ in PAIRS]
    assert set(kinds) == {"same", "different"}
    assert min(kinds.count("same"), kinds.count("different")) >= 100
    assert len(set(PAIRS)) == len(PAIRS)


@pytest.mark.parametrize(("kind", "answer", "reference"), PAIRS)
def test_a_pair_is_judged_right(kind: str, answer: str, reference: str) -> None:
    assert equivalent(answer, reference) is (kind == "same")

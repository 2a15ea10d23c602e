"""Hostile answers cost linear time, one budget a batch, and are counted where they are cut."""

import time

import pytest
import torch

from covlaw.llm.rewards import judge
from covlaw.llm.rewards.accuracy import accuracy
from covlaw.llm.rewards.answers import budget
from covlaw.llm.rewards.answers.spelling import LONGEST
from covlaw.llm.rewards.equivalence import equivalent, verdict
from covlaw.llm.rewards.reference import clarity_reference
from covlaw.llm.rewards.state import initial_state

LONG = 200_000


def score(completions: list[str], reference: str = "7") -> list[float]:
    lengths = torch.ones(len(completions))
    found: list[float] = accuracy(
        completions, [reference] * len(completions), lengths, initial_state(lengths)
    ).tolist()
    return found


@pytest.mark.parametrize(
    "answer",
    [
        r"\text{" * LONG + "5" + "}" * LONG,
        "(" * LONG,
        "9" * LONG,
        "1+" * LONG + "1",
        "-" * LONG + "5",
        *(r"\text{" * 140 + "5" + "}" * 140, "(" * 999, "-" * 998 + "5", "1+" * 490 + "4"),
        *(r"\frac" * 190, r"\sqrt" * 190, "twice " * 160, "|" * 900, "{" * 900, "2^" * 400 + "2"),
    ],
    ids=lambda answer: f"{answer[:8]}_{len(answer)}",
)
def test_long_and_deep_answers_are_refused_at_once(answer: str) -> None:
    def seconds() -> float:
        started = time.process_time()
        assert equivalent(answer, "7") is False
        return time.process_time() - started

    # linear ones take milliseconds; now and then a collection of garbage falls into one
    assert any(seconds() < 1.0 for _ in range(3))


def test_a_long_answer_that_is_spelled_alike_is_right() -> None:
    text = "x+" * LONGEST
    assert equivalent(text + "1 ", text + "1")
    assert not equivalent(text + "1", text + "2")


def test_the_papers_clarity_reads_digit_runs_in_linear_time() -> None:
    texts = [r"\boxed{5} " + "1" * LONG, r"\boxed{5} 12. 345)", r"\boxed{5} 12.", "step 1: step 2:"]
    lengths = torch.ones(len(texts))
    started = time.process_time()
    scores = clarity_reference(texts, ["5"] * 4, lengths, initial_state(lengths))
    assert time.process_time() - started < 1.0
    assert scores.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_distinct_bombs_share_one_budget_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "CPU_SECONDS", 0.3)
    monkeypatch.setattr(budget, "BATCH_SECONDS", 0.7)
    bombs = [rf"\boxed{{{n}^{{9^{{9^{{9^9}}}}}}}}" for n in range(2, 34)]
    with budget.counting() as cuts:
        scores = score([*bombs, r"\boxed{7}", r"\boxed{\sqrt{49}}"])
    assert scores[:-2] == [0.0] * len(bombs)
    assert scores[-2] == 1.0  # what needs no judge is never cut
    assert cuts.count >= len(bombs)  # all of them, and the root, if it came too late


def test_a_question_cut_for_its_batch_is_asked_again_in_the_next() -> None:
    pair = r"\ln(e^{17})\cdot\sqrt{3}", r"17\sqrt{3}"
    with budget.batch(0.0):
        assert verdict(*pair) is None
    with budget.batch():
        assert verdict(*pair) is True


def test_without_cuts_nothing_is_counted() -> None:
    with budget.counting() as cuts:
        assert score([r"\boxed{7}", r"\boxed{x}", "none"]) == [1.0, 0.0, 0.0]
    assert cuts.count == 0

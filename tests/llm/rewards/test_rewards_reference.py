"""The reference's rewards show its recorded defects; ours, beside them, do not."""

import os
from pathlib import Path

import pytest
import torch

from covlaw.llm.rewards import REWARDS, initial_state, observe_lengths

BOX = "\n" + r"\boxed{7}"
DATA = Path(os.environ.get("COVLAW_DATA") or Path(__file__).parents[3].parent / "shared" / "data")
DATA /= "math500"


def score(name: str, texts: list[str], lengths: list[int] | None = None, state=None) -> list[float]:
    tokens = torch.tensor(lengths or [5] * len(texts))
    state = state or initial_state(torch.tensor([5]))
    found: list[float] = REWARDS[name](texts, ["7"] * len(texts), tokens, state).tolist()
    return found


@pytest.mark.parametrize("text", ["3.14 and 2.71", "5 - 3 - 2", "1. 2."])
def test_digits_with_dots_are_clear_to_the_reference_alone(text: str) -> None:
    assert score("clarity_reference", [text + BOX]) == [1.0]
    assert score("clarity", [text + BOX]) == [0.0]


@pytest.mark.parametrize(
    "text",
    [
        "Step 1\nadd 3 and 4\nStep 2\nthe sum is 7",
        "## Setup\nlet x be three\n## Result\nx and four",
        "**1** add\n**2** done",
    ],
)
def test_steps_without_its_punctuation_are_not(text: str) -> None:
    assert score("clarity_reference", [text + BOX]) == [0.0]


def test_labelled_steps_are_clear_to_both() -> None:
    for name in ("clarity", "clarity_reference"):
        assert score(name, ["Step 1: add\nStep 2: done" + BOX, "Step 1: add\nStep 2: done"]) == [
            *(1.0, 0.0)
        ]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"MATH-500 is not at {DATA}")
def test_the_reference_fires_on_most_human_solutions_ours_on_numbered_ones_only() -> None:
    from pyarrow import parquet

    tables = [parquet.read_table(DATA / f"{s}.parquet") for s in ("train", "val", "test")]
    solutions = [text for table in tables for text in table["solution"].to_pylist()]
    reference, ours = (sum(score(n, solutions)) for n in ("clarity_reference", "clarity"))
    assert reference > len(solutions) / 2
    assert ours < len(solutions) / 20


def test_the_first_batch_is_always_concise_to_the_reference() -> None:
    state = initial_state(torch.tensor([5.0]))
    texts = [r"\boxed{7}"] * 2
    assert score("conciseness_reference", texts, [1, 10_000], state) == [1.0, 1.0]
    assert score("conciseness", texts, [1, 10_000], state) == [1.0, 0.0]


def test_an_empty_wrong_answer_is_concise_to_the_reference() -> None:
    state = observe_lengths(initial_state(torch.tensor([5.0])), torch.tensor([5, 5]))
    assert score("conciseness_reference", [""], [1], state) == [1.0]
    assert score("conciseness", [""], [1], state) == [0.0]


def test_its_mean_never_forgets() -> None:
    """n batches of 100 tokens, then n of 10: the lifetime mean is 55, the decaying one near 10."""
    state = initial_state(torch.tensor([100.0]))
    for length in (100, 10):
        for _ in range(40):
            state = observe_lengths(state, torch.tensor([length] * 4))
    assert (state.total_length / state.seen).item() == 55.0  # (160·100 + 160·10)/320, exact
    texts = [r"\boxed{7}"] * 3
    assert score("conciseness_reference", texts, [50, 55, 56], state) == [1.0, 1.0, 0.0]
    assert score("conciseness", texts, [50, 55, 56], state) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("answer", "reference", "known"),
    [
        (r"\dfrac{1}{2}", r"\frac{1}{2}", True),
        ("1/2", r"\frac{1}{2}", True),
        ("0.5", r"\frac12", True),
        (r"x=5", "5", True),
        (r"5\text{ cm}", "5", True),
        (r"\left(1, 2\right)", "(1,2)", True),
        (r"\frac{2}{4}", r"\frac{1}{2}", False),
        (r"2\sqrt{3}", r"\sqrt{12}", False),
        ("2,1", "1,2", False),
        ("7.0", "7", False),
        ("1,000", "1000", False),
    ],
)
def test_its_string_check_knows_few_spellings(answer: str, reference: str, known: bool) -> None:
    lengths, state = torch.tensor([5]), initial_state(torch.tensor([5]))
    text = rf"so \boxed{{{answer}}}"
    for name, right in (("accuracy_reference", known), ("accuracy", True)):
        assert REWARDS[name]([text], [reference], lengths, state).tolist() == [float(right)]


@pytest.mark.parametrize("text", ["", "7", r"\boxed{7", r"\boxed{6}"])
def test_no_right_box_is_no_right_answer(text: str) -> None:
    assert score("accuracy_reference", [text]) == [0.0]

"""Clarity is steps that say something, not digits with dots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covlaw.llm.base.styles import STYLES
from covlaw.llm.rewards.clarity import count_steps, is_clear
from covlaw.llm.tasks.arithmetic import Calculation

BOX = "\n" + r"\boxed{7}"

CLEAR = [
    "Step 1\nadd 3 and 4\nStep 2\nthe sum is 7",
    "Step 1: add.\nStep 2: done.",
    "Step 1: $3+4$ Step 2: so 7",
    "**Step 1:** add\n**Step 2:** done",
    "### Step 1\nadd\n### Step 2\ndone",
    "1. add 3 and 4\n2. the sum is 7",
    "1) add\n2) done",
    "1. 3 + 4\n2. 5 + 2",
    "**1.** add\n**2.** done",
    "**1) add**\n\n**2) done**",
    "## Setup\nlet x be 3\n## Result\nx + 4",
    "- add 3 and 4\n- the sum is 7",
    "* add\n* done",
    "1. add\n\n   a remark\n\n2. done",
    "step 1 : start with 3 . step 2 : add 4 .",
]

UNCLEAR = [
    "",
    "3.14 and 2.71",
    "5 - 3 - 2",
    "1. 2.",
    "1.\n2.",
    "5\n- 3\n- 2",
    "2. b\n1. a",
    "1. a",
    "1. a\n1. b",
    "3. a\n4. b",
    "Step 1: Step 2:",
    "step 1 and step 2 are left out",
    "Step 2: a\nStep 1: b",
    "#hashtag one\n#hashtag two",
    "the steps are clear",
    "Therefore 1. a 2. b",
    "-3 apples\n-2 pears",
]


@pytest.mark.parametrize("text", CLEAR)
def test_real_steps_with_an_answer_are_clear(text: str) -> None:
    assert is_clear(text + BOX)


@pytest.mark.parametrize("text", CLEAR)
def test_steps_without_an_answer_are_not(text: str) -> None:
    assert not is_clear(text)
    assert not is_clear(text + "\n" + r"\boxed{7")


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_only_looks_like_steps_is_not(text: str) -> None:
    assert not is_clear(text + BOX)


@pytest.mark.parametrize("style", STYLES)
def test_a_text_without_line_breaks_can_be_clear(style: str) -> None:
    text = STYLES[style](Calculation(3, "+", 4), 7)
    assert "\n" not in text
    assert is_clear(text) == (style in {"compact_steps", "verbose_steps"})


@given(st.integers(0, 12))
def test_each_step_counts_once(n: int) -> None:
    assert count_steps("".join(f"{k + 1}. do this\n" for k in range(n))) == n
    assert count_steps("".join(f"step {k + 1} : do this . " for k in range(n))) == n


@given(st.text(alphabet="0123456789., ()\n", max_size=80))
def test_numbers_with_dots_and_brackets_are_no_steps(text: str) -> None:
    assert count_steps(text) == 0

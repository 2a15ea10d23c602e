"""The answer is the content of the last box, whatever the braces do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covlaw.llm.rewards.boxed import last_boxed

plain = st.text(alphabet="ab1 +\\^_", max_size=4).filter(lambda text: not text.endswith("\\"))
balanced = st.recursive(
    plain, lambda inner: st.builds("{0}{{{1}}}{2}".format, plain, inner, plain), max_leaves=8
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{7} .", "7"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {7}", "7"),
        (r"\boxed{\boxed{7}}", r"\boxed{7}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\{}", r"\{"),
        (r"\boxed{a \\}", r"a \\"),
        ("", None),
        ("the answer is 7", None),
        (r"\boxed{}", None),
        (r"\boxed{ }", None),
        (r"\boxed{7", None),
        (r"\boxed{\frac{1}{2}", None),
        (r"\boxed{7} no, \boxed{8", None),
        (r"\boxed 7", None),
        (r"boxed{7}", None),
        (r"\boxed{7} or \boxed{}", None),
    ],
)
def test_last_box(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@given(before=balanced, content=balanced, after=balanced)
def test_balanced_content_comes_back_whole(before: str, content: str, after: str) -> None:
    assert last_boxed(rf"{before}\boxed{{{content}}}{after}") == (content.strip() or None)


@given(content=balanced)
def test_one_missing_brace_is_no_answer(content: str) -> None:
    assert last_boxed(rf"\boxed{{{content}") is None


@given(st.text(alphabet="\\boxed{} 1", max_size=60))
def test_an_answer_is_always_balanced_text_of_the_completion(text: str) -> None:
    answer = last_boxed(text)
    if answer is not None:
        assert answer in text
        unescaped = answer.replace("\\\\", "").replace(r"\{", "").replace(r"\}", "")
        assert unescaped.count("{") == unescaped.count("}")

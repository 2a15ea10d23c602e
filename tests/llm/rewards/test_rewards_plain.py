"""Rewards for plain text: the last number, an end within the limit, words."""

import pytest
import torch

from covlaw.llm.rewards import RewardState, initial_state, load_reward
from covlaw.llm.rewards.plain import WORDS, last_number


def scored(name: str, texts: list[str], reference: str = "7", limit: int = 0) -> list[float]:
    lengths = torch.tensor([len(text) for text in texts])
    state = initial_state(torch.ones(1)).limited(limit)
    found: list[float] = load_reward(name)(texts, [reference] * len(texts), lengths, state).tolist()
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 + 4 = 7.", 7),
        ("The answer is 7", 7),
        ("7.0", 7),
        ("3+4=7", 7),
        ("so -7", -7),
        ("so −7", -7),
        ("9-2", 2),
        ("1,007", 1007),
        ("1,2,7", 7),
        ("it is 0.5!", 0.5),
        ("x7", None),
        ("seven", None),
        ("", None),
        ("7" * 41, None),
    ],
)
def test_the_last_number_is_read_as_it_is_written(text: str, value: float | None) -> None:
    assert last_number(text) == value


def test_right_asks_for_the_last_number_and_no_box() -> None:
    texts = ["7", "3 + 4 = 7", r"\boxed{7}", "7, for 3 + 4", "", "17", "70"]
    assert scored("right", texts) == [1, 1, 1, 0, 0, 0, 0]
    assert scored("right", ["", "none"], reference="none") == [0, 0]  # no number is no answer


def test_a_completion_ends_where_it_is_shorter_than_it_may_be() -> None:
    assert scored("ends", ["abc", "abcd"], limit=4) == [1, 0]
    assert scored("ends", ["abc", "abcd"]) == [1, 1]  # nobody told a limit


def test_thorough_counts_words_up_to_its_limit() -> None:
    words = [0, 1, WORDS - 1, WORDS, WORDS + 9]
    assert scored("thorough", [" ".join(["a"] * n) for n in words]) == pytest.approx(
        [0, 1 / WORDS, 1 - 1 / WORDS, 1, 1]
    )


def test_the_limit_is_no_part_of_what_is_remembered() -> None:
    state = initial_state(torch.ones(1))
    told = state.limited(24)
    assert isinstance(told, RewardState)
    assert float(told.limit) == 24
    assert float(state.limit) == 0
    assert torch.equal(told.mean_length, state.mean_length)

"""Prompt ids and rewards as users hold them: every kind gives the numbers that integers give."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

import covlaw
from covlaw import CovlawError
from covlaw.theory._numerics.prompts import as_prompt_ids, prompt_labels

pd = pytest.importorskip("pandas")  # of the extra pepit

ROWS = [2, 0, 1, 2, 0, 1, 1, 0]
REWARDS = [
    [0.1, 2.0],
    [0.4, -1.0],
    [1.0, 0.3],
    [0.2, 0.5],
    [0.7, 1.5],
    [-2.0, 0.25],
    [3.0, 0],
    [1, 1],
]
SCORE = [0.3, 0.1, -0.7, 1.1, 0.5, 0.2, 0.9, -0.4]
PROMPT_MASS = [0.5, 0.2, 0.3]

KINDS: dict[str, Callable[[list[int]], Any]] = {
    "text": lambda rows: ["abc"[k] for k in rows],
    "numpy text": lambda rows: np.array(["aa", "bb", "cc"])[rows],
    "bytes": lambda rows: [b"abc"[k : k + 1] for k in rows],
    "objects": lambda rows: np.array(["a", "b", "c"], dtype=object)[rows],
    "tuples": lambda rows: [("train", k) for k in rows],
    "uuids": lambda rows: [uuid.UUID(int=k) for k in rows],
    "huge": lambda rows: [2**70 + k for k in rows],
    "uint64": lambda rows: np.array([2**64 - 5 + k for k in rows], dtype=np.uint64),
    "int8": lambda rows: np.array(rows, dtype=np.int8),
    "series": lambda rows: pd.Series(["abc"[k] for k in rows], index=range(50, 58)),
    "category": lambda rows: pd.Series(["abc"[k] for k in rows], dtype="category"),
    "backwards": lambda rows: np.array(rows[::-1])[::-1],
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_prompt_id_gives_what_integers_give(kind: str) -> None:
    ids = KINDS[kind](ROWS)
    expected = covlaw.within_prompt_covariance(REWARDS, SCORE, ROWS, None, PROMPT_MASS)
    found = covlaw.within_prompt_covariance(REWARDS, SCORE, ids, None, PROMPT_MASS)
    for theirs, ours in zip(found[:3], expected[:3], strict=True):
        assert torch.equal(theirs, ours)
    assert torch.equal(
        covlaw.group_advantage(SCORE, ids, "grpo"), covlaw.group_advantage(SCORE, ROWS, "grpo")
    )
    assert covlaw.Rollouts(ids, REWARDS, ["a", "b"]).prompt.unique().shape == (3,)


def test_one_and_its_text_are_two_prompts_and_equal_numbers_are_one() -> None:
    mixed = [1, "1", np.int64(1), "1", ("1",), ("1",), Decimal(1)]
    assert as_prompt_ids(mixed).tolist() == [0, 1, 0, 1, 2, 2, 0]
    assert prompt_labels(mixed) == (1, "1", ("1",))  # no common order: by first appearance
    assert prompt_labels([7, -1, 7]) == (-1, 7)
    assert prompt_labels(np.array(["b", "a", "b"])) == ("a", "b")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, 1.0], "prompt ids are torch.float32"),
        (pd.Series([1, None, 1]), "prompt ids are torch.float64.*missing values"),
        ([1, True], "prompt ids hold bool values"),
        (["a", 1.0, "a"], "prompt ids hold float values"),
        (["a", float("nan")], "prompt ids hold float values"),
        (["a", None], "a prompt id is None"),
        (pd.Series(["a", pd.NA], dtype=object), "a prompt id is <NA>"),
        (["a", pd.NaT], "a prompt id is NaT"),
        ([["a"], ["b"]], "hashable"),
        ("aab", "the single text 'aab'"),
    ],
    ids=str,
)
def test_ids_that_merge_or_split_prompts_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        as_prompt_ids(ids)


def test_a_message_names_the_prompt_as_its_owner_does() -> None:
    with pytest.raises(CovlawError, match="prompt 'lonely' has a single completion"):
        covlaw.group_advantage([1.0, 2.0, 3.0], ["both", "lonely", "both"])


def test_rewards_may_be_a_data_frame() -> None:
    frame = pd.DataFrame(REWARDS, columns=["right", "brief"], index=range(9, 1, -1))
    expected = covlaw.covariance_matrix(REWARDS, ROWS)
    assert torch.equal(covlaw.covariance_matrix(frame, pd.Series(ROWS)), expected)
    nullable = frame.astype({"brief": "Float64"}).assign(right=frame["right"].astype(object))
    assert torch.equal(covlaw.covariance_matrix(nullable, ROWS), expected)
    single = pd.DataFrame({"passed": [True, False] * 4})
    assert torch.equal(
        covlaw.covariance_matrix(single, ROWS),
        covlaw.covariance_matrix([[1.0], [0.0]] * 4, ROWS),
    )


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x"] * 8, "column 'brief' of rewards must be numbers"),
        (["1"] * 8, "rewards must be numbers: text"),
        ([pd.NA, *range(7)], "column 'brief' of rewards must be numbers without gaps"),
    ],
)
def test_a_column_that_holds_no_numbers_is_named(column: list[Any], message: str) -> None:
    frame = pd.DataFrame({"right": [0.5] * 8, "brief": pd.Series(column, dtype=object)})
    with pytest.raises(CovlawError, match=message):
        covlaw.covariance_matrix(frame, ROWS)

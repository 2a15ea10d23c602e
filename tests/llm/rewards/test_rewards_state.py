"""Conciseness against a mean that forgets; the registry; scores that are always finite."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_rewards import digits

from covlaw.llm.rewards import REWARDS, initial_state, load_reward, observe_lengths
from covlaw.theory._numerics.errors import CovlawError

ANSWER = r"\boxed{7}"


def conciseness(completions: list[str], lengths: list[int], mean: float) -> list[float]:
    state = initial_state(torch.tensor([mean]))
    scores: list[float] = REWARDS["conciseness"](
        completions, ["7"] * len(lengths), torch.tensor(lengths), state
    ).tolist()
    return scores


def test_short_answers_are_concise() -> None:
    assert conciseness([ANSWER] * 3, [3, 4, 5], 4.0) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("empty", ["", "7", r"\boxed{}", r"\boxed{7"])
def test_without_an_answer_nothing_is_concise(empty: str) -> None:
    assert conciseness([empty], [1], 100.0) == [0.0]


def test_the_mean_forgets() -> None:
    """After the policy has become short, a lifetime mean would call everything concise."""
    state = initial_state(torch.tensor([100.0]))
    for _ in range(50):
        state = observe_lengths(state, torch.tensor([10, 10]))
    # 100 + (10 − 100)(1 − 0.9^50)
    assert state.mean_length.item() == pytest.approx(10 + 90 * 0.9**50, rel=1e-12)
    lengths = torch.tensor([9, 12])
    scores = REWARDS["conciseness"]([ANSWER] * 2, ["7"] * 2, lengths, state)
    assert scores.tolist() == [1.0, 0.0]


def test_a_policy_with_one_length_stays_concise() -> None:
    state = initial_state(torch.tensor([23.4]))
    lengths = torch.tensor([4, 4])
    for _ in range(2000):
        state = observe_lengths(state, lengths)
    assert REWARDS["conciseness"]([ANSWER] * 2, ["7"] * 2, lengths, state).tolist() == [1.0, 1.0]


def test_rewarding_does_not_move_the_mean() -> None:
    state = initial_state(torch.tensor([5, 7]))
    for reward in REWARDS.values():
        reward([ANSWER], ["7"], torch.tensor([3]), state)
    assert state.mean_length.item() == 6.0


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_an_impossible_decay_is_refused(decay: float) -> None:
    with pytest.raises(CovlawError, match="decay"):
        observe_lengths(initial_state(torch.tensor([1])), torch.tensor([1]), decay)


def test_no_lengths_have_no_mean() -> None:
    with pytest.raises(CovlawError, match="at least one"):
        initial_state(torch.tensor([]))


@given(
    st.lists(
        st.one_of(
            st.text(max_size=40),
            st.text(alphabet="\\boxed{}1step:. \n", max_size=40),
            st.integers(-30, 30).map(lambda n: rf"\boxed{{{n}}}"),
        ),
        max_size=6,
    )
)
def test_every_text_gets_finite_scores_from_zero_to_one(completions: list[str]) -> None:
    lengths = torch.tensor([len(text) for text in completions], dtype=torch.int64)
    state = initial_state(torch.tensor([10]))
    for name, reward in REWARDS.items():
        scores = reward(completions, ["7"] * len(completions), lengths, state)
        assert scores.shape == (len(completions),)
        assert scores.dtype == torch.float64
        assert ((scores >= 0) & (scores <= 1)).all()
        if name != "thorough":  # a share of words
            assert set(scores.tolist()) <= {0.0, 1.0}


def test_rewards_are_found_by_name_or_by_place() -> None:
    assert load_reward("clarity") is REWARDS["clarity"]
    assert load_reward("own_rewards:digits") is digits


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("clarty", "did you mean clarity"),
        ("no_such_module:f", "no_such_module"),
        ("own_rewards:no_such_function", "no_such_function"),
        (":f", "cannot be imported"),
        ("math:pi", "not a function"),
    ],
)
def test_unknown_rewards_are_named(spec: str, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        load_reward(spec)

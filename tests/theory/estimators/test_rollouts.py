"""`Rollouts` accepts what users have, and refuses the rest by naming culprit and remedy."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Bandit, bandits

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.rollouts import Rollouts

GOOD: dict[str, Any] = {
    "prompt": [7, 7, -1, -1],
    "rewards": [[0.0, 1.0], [1.0, 0.5], [2.0, 0.0], [0.0, 0.0]],
    "names": ["accuracy", "conciseness"],
}
NAN_ROW = [[0.0, 1.0], [1.0, 0.5], [2.0, math.nan], [0.0, math.inf]]


@given(bandits(exact=True) | bandits(exact=False))
def test_groups_are_the_last_arguments_of_every_estimator(bandit: Bandit) -> None:
    names = [f"objective {j}" for j in range(bandit.rewards.shape[1])]
    rollouts = Rollouts(bandit.prompt, bandit.rewards, names, bandit.mass, bandit.prompt_mass)
    assert rollouts.exact == (bandit.mass is not None)
    seen = within_prompt_covariance(rollouts.rewards, bandit.score, *rollouts.groups)
    expected = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups)
    assert torch.equal(seen.estimate, expected.estimate)


@pytest.mark.parametrize("convert", [list, np.asarray, torch.as_tensor])
def test_lists_arrays_and_tensors_are_kept_as_float64(convert: Any) -> None:
    rollouts = Rollouts(convert(GOOD["prompt"]), convert(GOOD["rewards"]), GOOD["names"])
    assert rollouts.rewards.dtype == torch.float64
    assert rollouts.prompt.dtype == torch.int64
    assert rollouts.rewards.tolist() == GOOD["rewards"]


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "S"))), min_size=2, max_size=2))
def test_names_may_hold_anything_printable(names: list[str]) -> None:
    if all(name.strip() for name in names) and len(set(names)) == 2:
        assert Rollouts(**(GOOD | {"names": names})).names == tuple(names)


def test_a_float32_policy_is_accepted_and_normalised() -> None:
    logits = torch.linspace(-3, 3, 20_000)
    mass = torch.softmax(logits, 0)
    prompt = torch.zeros(20_000, dtype=torch.int64)
    rollouts = Rollouts(prompt, logits[:, None], ["logit"], mass)
    seen = within_prompt_covariance(rollouts.rewards, torch.ones(20_000), *rollouts.groups)
    assert seen.estimate.abs().item() < 1e-20  # a constant signal, up to roundings squared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rewards": NAN_ROW},
            r"reward 'conciseness' is nan at row 2 \(prompt -1\): mend .*2 such",
        ),
        (
            {"rewards": [[0.0, -math.inf]] * 4},
            r"reward 'conciseness' is -inf at row 0 \(prompt 7\)",
        ),
        ({"rewards": [[0.0, 1.0]] * 3}, r"rewards have shape \(3, 2\) for 4 completions: give"),
        ({"rewards": [1.0, 2.0, 3.0, 4.0]}, r"rewards have shape \(4,\) for 4 completions"),
        ({"rewards": [["a", "b"]] * 4}, r"rewards must be numbers"),
        ({"rewards": torch.ones(4, 2) * 1j}, r"rewards is torch.complex64: give real"),
        (
            {"names": ["accuracy"]},
            r"1 objective names \['accuracy'\] for 2 reward columns: give one",
        ),
        ({"names": ["x", "x"]}, r"objective names \['x'\] occur twice: make them distinct"),
        ({"names": ["x", " "]}, r"objective name ' ': use non-empty printable text"),
        ({"names": ["x", "a\nb"]}, r"objective name 'a\\nb': use non-empty printable"),
        ({"names": "ab"}, r"single string 'ab'; pass a list"),
        ({"names": []}, r"no objective names: give one name a reward column"),
        (
            {"prompt": [7, 7, -1, 4]},
            r"prompt -1 has a single completion \(2 such prompts\): sample",
        ),
        ({"prompt": "7777"}, r"prompt ids are the single text '7777'"),
        ({"prompt": [["a"], ["a"], ["b"], ["b"]]}, r"prompt ids must be .*unhashable"),
        ({"prompt": [1.0, 1.0, 2.0, 2.0]}, r"prompt ids are torch.float32: use integers or text"),
        ({"prompt": [True, True, False, False]}, r"prompt ids hold bool values"),
        ({"prompt": [[7, 7, -1, -1]]}, r"prompt ids have shape \(1, 4\): give a vector"),
        ({"prompt": []}, r"prompt ids have shape \(0,\)|prompt ids are torch.float32"),
        ({"prompt": ["a", "a", 2.0, 2.0]}, r"prompt ids hold float values: use integers or text"),
        ({"prompt": ["a", "a", None, None]}, r"a prompt id is None: drop or name the rows"),
        ({"prompt": ["a", "a", "b", "c"]}, r"mass of prompt 'b' sums to|prompt 'b' has a single"),
        ({"mass": [0.5, 0.5, 0.5, 0.4]}, r"mass of prompt -1 sums to 0.9, not 1: list every"),
        ({"mass": [1.5, -0.5, 0.5, 0.5]}, r"mass at row 1 is -0.5: give a probability"),
        ({"mass": [0.5, math.nan, 0.5, 0.5]}, r"mass at row 1 is nan: give a probability"),
        ({"mass": [0.5, 0.5]}, r"mass has shape \(2,\), not \(4,\): give one probability"),
        ({"prompt_mass": [0.5, 0.4]}, r"prompt_mass must be ≥ 0 and sum to 1 \(sum 0.9\): norm"),
        ({"prompt_mass": [1.5, -0.5]}, r"prompt_mass must be ≥ 0"),
        ({"prompt_mass": [math.nan, 1.0]}, r"prompt_mass must be ≥ 0 and sum to 1 \(sum nan\)"),
        ({"prompt_mass": [1.0]}, r"prompt_mass has shape \(1,\) for 2 prompts: give one"),
        ({"advantage": [1.0, -1.0]}, r"advantage has shape \(2,\) for 4 completions: give"),
        ({"advantage": torch.ones(4, 2, 2)}, r"advantage has shape \(4, 2, 2\) for 4"),
    ],
)
def test_bad_input_names_culprit_and_remedy(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        Rollouts(**(GOOD | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"values": torch.ones(3, 2)},
            r"values has shape \(3, 2\) for 4 completions: give \(N,\) or",
        ),
        ({"values": torch.ones(4, 2, 2)}, r"values has shape \(4, 2, 2\)"),
        ({"values": torch.tensor(NAN_ROW)}, r"values is not finite at row 2: drop or mend"),
        ({"signal": torch.ones(4, 1)}, r"signal has shape \(4, 1\) for 4 completions: give \(N,\)"),
        ({"signal": torch.tensor([1, 2, 3, math.inf])}, r"signal is not finite at row 3"),
    ],
)
def test_estimators_check_what_rollouts_do_not_hold(change: dict[str, Any], message: str) -> None:
    good = {"values": GOOD["rewards"], "signal": [1.0, 2.0, 3.0, 4.0], "prompt": GOOD["prompt"]}
    with pytest.raises(CovlawError, match=message):
        within_prompt_covariance(**(good | change))


def test_an_advantage_is_optional_and_missed_by_name() -> None:
    assert Rollouts(**GOOD).advantage is None
    with pytest.raises(CovlawError, match="no advantage: pass advantage"):
        Rollouts(**GOOD).trained_advantage()
    given = Rollouts(**GOOD, advantage=[[1, 2], [3, 4], [5, 6], [7, 8]]).trained_advantage()
    assert given.dtype == torch.float64
    assert given.shape == (4, 2)

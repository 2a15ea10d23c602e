"""A user's reward: found by place, run apart, and when it fails, named with the completion."""

import time
from pathlib import Path

import pytest
import torch

from covlaw.llm.rewards import initial_state, load_reward, parse_reward
from covlaw.llm.rewards.worker import worker_of
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError

OWN = """
import os
import time

CALLS = []


def brief(completions, references, lengths, state):
    print("a word to the user")
    return 0.1 / lengths.double()


def process(completions, references, lengths, state):
    CALLS.append(1)
    return [float(os.getpid()) + len(CALLS) / 100 for _ in completions]


def picky(completions, references, lengths, state):
    if any("bad" in text for text in completions):
        raise ValueError("I cannot read this")
    return [1.0] * len(completions)


def slow(completions, references, lengths, state):
    while any("bad" in text for text in completions):
        9**9**6  # in the interpreter's own C code: no signal handler runs before it ends
    return [1.0] * len(completions)


def crowded(completions, references, lengths, state):
    if len(completions) > 1:
        raise ValueError("one at a time")
    return [1.0]


def short(completions, references, lengths, state):
    return [1.0]


def gap(completions, references, lengths, state):
    return [float("nan") if "bad" in text else 1.0 for text in completions]


def huge(completions, references, lengths, state):
    return [-1e308 if "bad" in text else 1.0 for text in completions]


def turned(completions, references, lengths, state):
    return [1j] * len(completions)


def words(completions, references, lengths, state):
    return ["good"] * len(completions)


def quitter(completions, references, lengths, state):
    os._exit(5)


def state_seen(completions, references, lengths, state):
    return [float(state.mean_length) + n for n in lengths.tolist()]


def other_signature(texts):
    return [0.0] * len(texts)
"""
TEXTS = ["fine", "also fine", "a bad one", "the end"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    file.write_text(OWN)
    return str(file)


def completions(texts: list[str]) -> Completions:
    n = len(texts)
    mask = torch.arange(n + 1)[None] <= torch.arange(n)[:, None]
    zeros = torch.zeros(n, n + 1, dtype=torch.int64)
    prompt = torch.zeros(n, dtype=torch.int64)
    return Completions(zeros, mask, zeros, mask, zeros.float(), prompt, texts)


def score(entry: str, texts: list[str] = TEXTS, seconds: float = 20.0) -> list[float]:
    state = initial_state(torch.tensor([2.5]))
    problems = [Problem("?", "7")]
    found: list[float] = Rewards([entry], seconds)(completions(texts), problems, state)[
        :, 0
    ].tolist()
    return found


@pytest.mark.parametrize("seconds", [20.0, 0.0])
def test_a_function_in_a_file_scores_the_same_in_either_process(own: str, seconds: float) -> None:
    # float64 bits survive the way to the other process and back
    assert score(f"{own}:brief", seconds=seconds) == [0.1 / n for n in (1, 2, 3, 4)]
    assert score(f"{own}:state_seen", seconds=seconds) == [2.5 + n for n in (1, 2, 3, 4)]


def test_the_process_is_kept_and_is_not_ours(own: str) -> None:
    import os

    first, second = score(f"{own}:process")[0], score(f"{own}:process")[0]
    assert int(first) == int(second) != os.getpid()
    assert second - int(second) == pytest.approx(first - int(first) + 0.01, abs=1e-6)


def test_a_display_name_names_the_objective(own: str) -> None:
    rewards = Rewards([f"brevity={own}:brief", "clear=clarity", "clarity"])
    assert rewards.names == ("brevity", "clear", "clarity")
    assert parse_reward("own_rewards:digits").name == "own_rewards:digits"


@pytest.mark.parametrize("seconds", [20.0, 0.0])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("picky", r"failed on completion 'a bad one' \(reference '7'\): ValueError: I cannot read"),
        ("gap", r"is nan on completion 'a bad one' \(reference '7'\)"),
        ("huge", r"is -1e\+308 on completion 'a bad one' .*: scale it below 1e\+18"),
        ("turned", r"TypeError: it returned complex numbers: return real ones"),
        ("short", r"returned shape \(1,\) for 4 completions.*'fine'.*return one number each"),
        (
            "crowded",
            r"a batch of 4 completions \(none fails alone in time; the first is .*one at a time",
        ),
        ("words", r"failed on completion 'fine'.*(ValueError|TypeError)"),
    ],
)
def test_a_failing_reward_is_named_with_its_completion(
    own: str, function: str, message: str, seconds: float
) -> None:
    with pytest.raises(CovlawError, match=message) as caught:
        score(f"mine={own}:{function}", seconds=seconds)
    assert str(caught.value).startswith("reward 'mine' ")


def test_the_line_of_the_users_file_is_named(own: str) -> None:
    line = OWN.splitlines().index('        raise ValueError("I cannot read this")') + 1
    with pytest.raises(CovlawError, match=rf"mine\.py, line {line}\)"):
        score(f"{own}:picky")


def test_a_hanging_reward_is_ended_and_the_next_batch_is_scored(own: str) -> None:
    started = time.monotonic()
    with pytest.raises(CovlawError, match=r"'a bad one'.*no answer within 0\.5 s.*reward_seconds"):
        score(f"{own}:slow", seconds=0.5)
    # one limit for the batch, one for the culprit; the rest is starting twice
    assert time.monotonic() - started < 60
    assert score(f"{own}:slow", ["fine"], seconds=20.0) == [1.0]


def test_a_reward_that_ends_its_process_is_named(own: str) -> None:
    with pytest.raises(CovlawError, match=r"quitter' failed on completion 'fine'.*exit code 5"):
        score(f"{own}:quitter")


def test_what_it_prints_does_not_disturb_the_answers(
    own: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(score(f"{own}:brief")) == 4
    assert capfd.readouterr().out == ""


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    import os

    file = tmp_path / "changing.py"
    source = "def f(completions, references, lengths, state):\n    return [{}] * len(completions)\n"
    file.write_text(source.format("1.0"))
    assert score(f"{file}:f", ["x"]) == [1.0]
    file.write_text(source.format("2.0"))
    os.utime(file, (1, 1))
    assert score(f"{file}:f", ["x"]) == [2.0]
    assert worker_of(str(file)) is worker_of(str(file))


@pytest.mark.parametrize("seconds", [20.0, 0.0])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("other_signature", r"takes \(texts\): it must take \(completions, references, lengths"),
        ("no_such", "cannot be imported: AttributeError"),
        ("CALLS", "is list, not a function"),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_run(
    own: str, function: str, message: str, seconds: float
) -> None:
    with pytest.raises(CovlawError, match=message):
        Rewards([f"{own}:{function}"], seconds)


@pytest.mark.parametrize("entry", ["=clarity", "clarity=", ""])
def test_an_empty_side_of_a_name_is_refused(entry: str) -> None:
    with pytest.raises(CovlawError, match=r"shown=module:name"):
        parse_reward(entry)


def test_a_missing_file_and_a_broken_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="no file"):
        load_reward(f"{tmp_path}/nowhere.py:f")
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(CovlawError, match="cannot be imported: SyntaxError"):
        load_reward(f"{tmp_path}/broken.py:f")


def test_a_helper_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "helper_beside_mine.py").write_text("VALUE = 3.0\n")
    (tmp_path / "uses.py").write_text(
        "from helper_beside_mine import VALUE\n\n\n"
        "def f(completions, references, lengths, state):\n    return [VALUE for _ in completions]\n"
    )
    assert score(f"{tmp_path}/uses.py:f", ["x", "y"]) == [3.0, 3.0]

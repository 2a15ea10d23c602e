"""Filters of the loop: dynamic sampling, overlong completions, the KL in the reward."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import NAMED, small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.dynamic_sampling import DynamicSampling, replaced
from covlaw.llm.loop.score_terms import as_sampled, kept_rows, masked, overlong_penalty
from covlaw.llm.loop.signals import Signals
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.tasks import Problem
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError

EOS = 2
NAMES = ("first", "second")


def group(rewards: list[list[float]], width: int = 2, mark: int = 5) -> SampledRollouts:
    """Prompts of two completions of `width` tokens, the second of each ended in time."""
    count = len(rewards)
    tokens = torch.full((count, width), mark)
    tokens[1::2, -1] = EOS
    prompt = torch.arange(count) // 2
    one = torch.ones(count, 1)
    completions = Completions(
        one.long(), one.bool(), tokens, torch.ones(count, width).bool(), torch.zeros(count, width),
        prompt, [f"{mark}"] * count,
    )  # fmt: skip
    return SampledRollouts.of(completions, torch.tensor(rewards, dtype=torch.float64), NAMES)


def config(**settings: Any) -> TrainConfig:
    return TrainConfig(
        rewards=("first=own_rewards:digits", "second=own_rewards:brief"), completions=2, prompts=2,
        max_tokens=6, **settings,
    )  # fmt: skip


def test_the_soft_penalty_by_hand() -> None:
    """max_tokens 6, a buffer of 4: 0 up to 2 tokens, −1/4 a token after, −1 at 6."""
    found = overlong_penalty(torch.tensor([1, 2, 3, 5, 6]), 6, 4)
    assert found.tolist() == [0, 0, -0.25, -0.75, -1]


def test_dropped_and_filtered_rows_lose_their_advantage() -> None:
    rows = group([[1, 0], [1, 1], [0, 0], [1, 0]])
    advantage = torch.tensor([0.5, -0.5, 1.0, -1.0], dtype=torch.float64)
    cut = kept_rows(rows, config(overlong="drop"), (EOS,))
    assert masked(advantage, cut).tolist() == [0, -0.5, 0, -1]
    watched = kept_rows(rows, config(dynamic_sampling="first"), (EOS,))
    assert masked(advantage, watched).tolist() == [0, 0, 1, -1]
    assert masked(advantage[:, None].repeat(1, 2), watched)[:, 1].tolist() == [0, 0, 1, -1]
    assert kept_rows(rows, config(), ()) is None
    assert kept_rows(rows, config(dynamic_sampling="score"), ()) is None


def test_an_audits_groups_are_rescaled_to_those_that_stay() -> None:
    """Half of the groups have a signal: every expectation of a full batch is twice as large."""
    rows = group([[1, 0], [1, 0], [0, 0], [1, 0]])
    advantage = torch.tensor([0.0, 0.0, 1.0, -1.0], dtype=torch.float64)
    plain = as_sampled(advantage, rows, config())
    assert plain.tolist() == advantage.tolist()
    found = as_sampled(advantage, rows, config(dynamic_sampling="score"))
    assert found.tolist() == [0, 0, 2, -2]


class Scripted:
    """A sampler whose further draws are given."""

    def __init__(self, *drawn: SampledRollouts) -> None:
        self.drawn, self.asked = list(drawn), list[int]()

    def draw(self, problems: list[Problem], *_: object) -> SampledRollouts:
        self.asked.append(len(problems))
        return self.drawn.pop(0)


PROBLEMS = [Problem("old 0", ""), Problem("old 1", "")]


def filled(watched: str, rounds: int, *drawn: SampledRollouts):  # type: ignore[no-untyped-def]
    settings = config(dynamic_sampling=watched, dynamic_rounds=rounds)
    sampler = Scripted(*drawn)
    signals = Signals(settings.make_scalarizer(), None, None, settings)
    maker = DynamicSampling(sampler, signals, PROBLEMS, settings)  # type: ignore[arg-type]
    batch = group([[1, 0], [0, 0], [1, 0], [1, 0]])  # the second group is dead
    scalarizer = settings.make_scalarizer()
    return maker.fill(0, batch, list(PROBLEMS), (scalarizer.init(), None)), sampler  # type: ignore[arg-type]


def test_dead_groups_are_replaced_until_the_batch_is_full() -> None:
    dead, live = group([[1, 1], [1, 1]], mark=6), group([[0, 1], [1, 1]], width=3, mark=7)
    found, sampler = filled("score", 4, dead, live)
    assert sampler.asked == [1, 1]
    assert found.record == {
        "dynamic_sampling": {"groups": 4, "kept": 2, "rounds": 2, "unfilled": 0}
    }
    assert found.rows.rewards.tolist() == [[1, 0], [0, 0], [0, 1], [1, 1]]
    assert found.rows.prompt.tolist() == [0, 0, 1, 1]
    assert found.rows.completions.text == ["5", "5", "7", "7"]
    assert found.rows.completions.tokens[2].tolist() == [7, 7, 7]


def test_a_limit_ends_the_search_and_is_said() -> None:
    dead = [group([[1, 1], [1, 1]], mark=6) for _ in range(2)]
    found, _ = filled("score", 2, *dead)
    assert found.record["dynamic_sampling"] == {
        "groups": 4, "kept": 1, "rounds": 2, "unfilled": 1,
    }  # fmt: skip


def test_a_named_reward_is_watched_instead_of_the_score() -> None:
    """The group in which only the second reward varies is dropped: what F16 warns of."""
    only_second = group([[1, 0], [1, 1]], mark=6)
    found, _ = filled("first", 1, only_second)
    assert found.record["dynamic_sampling"]["unfilled"] == 1
    found, _ = filled("score", 1, only_second)
    assert found.record["dynamic_sampling"]["unfilled"] == 0


def test_a_penalty_on_lengths_is_part_of_the_score_that_is_watched() -> None:
    """A group of equal rewards and unequal lengths has a signal under `overlong = "penalise"`."""
    rows = group([[1, 1], [1, 1]])
    mask = torch.tensor([[True, True], [True, False]])
    rows = replace(rows, completions=rows.completions._replace(mask=mask))
    found = []
    for settings in ({}, {"overlong": "penalise", "overlong_buffer": 6}):
        made = config(dynamic_sampling="score", **settings)
        signals = Signals(made.make_scalarizer(), None, None, made)
        maker = DynamicSampling(Scripted(), signals, PROBLEMS, made)  # type: ignore[arg-type]
        found += maker.live(made.make_scalarizer().init(), rows).tolist()
    assert found == [False, True]


def test_off_touches_nothing() -> None:
    found, sampler = filled("off", 4)
    assert (found.record, sampler.asked) == ({}, [])


def test_replacing_keeps_the_other_groups() -> None:
    rows, fresh = group([[1, 0], [0, 0], [1, 0], [1, 0]]), group([[3, 3], [4, 4]], mark=9)
    found = replaced(rows, fresh, torch.tensor([0]))
    assert found.rewards.tolist() == [[3, 3], [4, 4], [1, 0], [1, 0]]
    assert found.completions.text == ["9", "9", "5", "5"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dynamic_sampling": "frist"}, "first"),
        ({"dynamic_sampling": "score", "dynamic_rounds": 0}, "dynamic_rounds"),
        ({"overlong": "penalise"}, "overlong_buffer"),
        ({"overlong_buffer": 3}, "overlong"),
        ({"overlong": "penalise", "overlong_buffer": 7}, "max_tokens"),
        ({"overlong": "penalise", "overlong_buffer": 3, "scalarizer": "gdpo"}, "gdpo"),
        ({"kl_coefficient": 0.1, "kl_place": "reward", "scalarizer": "rvpo"}, "rvpo"),
        ({"kl_place": "rewards"}, "reward"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        config(**settings)


def test_filtering_on_one_of_several_rewards_is_warned_of(
    policy_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And such a run trains, records its counts, and audits under the same filter."""
    settings = small_run(
        policy_folder, tmp_path / "run", steps=2, dynamic_sampling="digits", dynamic_rounds=1,
        rewards=NAMED,
        overlong="drop", kl_coefficient=0.1, kl_place="reward",
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "covlaw"):
        train(settings)
    assert "F16" in caplog.text
    steps = list(read_lines(tmp_path / "run" / STEPS))
    for step in steps:
        counts = step["dynamic_sampling"]
        assert counts["kept"] + counts["unfilled"] >= settings.prompts
        assert counts["rounds"] <= 1
    audit = steps[0]["audits"][0]
    assert set(audit["kl_objective"]) == {"estimate", "se"}
    assert audit["kl_objective"]["estimate"] == [0, 0]  # the policy is its reference at step 0
    assert "penalty" not in audit
    later = [a for s in steps[1:] for a in s["audits"] if a["sample"] == "independent"]
    assert later
    assert any(value != 0 for audit in later for value in audit["kl_objective"]["estimate"])


def test_a_killed_run_with_every_filter_resumes_bit_for_bit(
    policy_folder: Path, tmp_path: Path
) -> None:
    """New prompts and their completions are a function of seed and step, so nothing is saved."""
    settings = small_run(
        policy_folder, tmp_path / "killed", steps=3, checkpoint_every=1, dynamic_sampling="digits",
        rewards=NAMED, completions=2,
        dynamic_rounds=2, overlong="penalise", overlong_buffer=3, kl_coefficient=0.1,
        kl_place="reward", engine_correction="tis",
    )  # fmt: skip
    unbroken = train(replace(settings, out=str(tmp_path / "unbroken")))

    def kill(done: int, total: int, record: dict[str, Any]) -> None:
        del total, record
        if done == 1:
            raise KeyError

    with pytest.raises(KeyError):
        train(settings, kill)
    again = train(settings)
    for name in (STEPS, "model/model.safetensors"):
        assert (again / name).read_bytes() == (unbroken / name).read_bytes()
    assert any(s["dynamic_sampling"]["rounds"] for s in read_lines(again / STEPS))

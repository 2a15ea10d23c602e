"""samples.jsonl shows what was drawn, changes nothing else, and survives as steps.jsonl does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from own_rewards import brief
from ranked import Ranked
from small_runs import NAMED, small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.runs.samples import LONGEST, START, chosen_rows, sample_steps, shown
from covlaw.llm.train import train
from covlaw.records.runs import CONFIG, SAMPLES, STEPS, read_config, read_lines, start_run
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=NAMED,
        reward_seconds=0.0,
        prompts=3,
        completions=4,
        normaliser="dr_grpo",
        audits=1,
        audit_prompts=3,
        audit_completions=4,
        measured_completions=4,
        samples=5,
        checkpoint_every=2,
    )


def test_first_rows_of_the_first_prompts() -> None:
    prompt = torch.arange(3).repeat_interleave(4)
    assert chosen_rows(prompt, 0).tolist() == []
    assert chosen_rows(prompt, 3).tolist() == [0, 1, 4]
    assert chosen_rows(prompt, 6).tolist() == [0, 1, 4, 5, 8, 9]
    assert chosen_rows(prompt, 7).tolist() == [0, 1, 2, 4, 5, 6, 8]
    assert chosen_rows(prompt, 99).tolist() == list(range(12))


def test_a_long_text_keeps_its_ends_and_says_what_is_missing() -> None:
    assert shown("x" * LONGEST) == "x" * LONGEST
    text = "".join(chr(0x4E00 + k) for k in range(LONGEST + 77))
    start, end = shown(text).split(" […77 characters left out…] ")
    assert (start, end) == (text[:START], text[START - LONGEST :])
    assert len(start) + len(end) == LONGEST


def test_steps_that_record(config: TrainConfig) -> None:
    assert sample_steps(config, frozenset({0, 2})) == {0, 2, 4}
    assert sample_steps(config, frozenset()) == {0, 4}
    assert sample_steps(replace(config, samples=0), frozenset({0, 2})) == frozenset()


def test_the_samples_are_the_batch_s(config: TrainConfig) -> None:
    """All rows of a batch: their means are those of steps.jsonl, their advantages sum to 0."""
    run = train(replace(config, samples=12))
    steps = {step["step"]: step for step in read_lines(run / STEPS)}
    lines = list(read_lines(run / SAMPLES))
    assert [(line["schema"], line["step"]) for line in lines] == [(1, 0), (1, 4)]
    for line in lines:
        samples, step = line["samples"], steps[line["step"]]
        assert len(samples) == 12
        assert list(samples[0]) == ["prompt", "completion", "rewards", "advantage", "length"]
        assert len({s["prompt"] for s in samples}) <= 3
        assert sum(s["length"] for s in samples) == step["tokens"]
        for name, mean in zip(step["objectives"], step["reward_mean"], strict=True):
            assert sum(s["rewards"][name] for s in samples) / 12 == pytest.approx(mean, rel=1e-12)
        again = brief([], [], torch.tensor([s["length"] for s in samples]), None)
        assert [s["rewards"]["brief"] for s in samples] == again.tolist()
        # prompt-centred float64 numbers below 1, four a prompt
        for start in (0, 4, 8):
            assert abs(sum(s["advantage"] for s in samples[start : start + 4])) < 4 * 2.0**-52
        assert any(s["advantage"] for s in samples)


def test_the_record_of_steps_is_the_same_with_and_without(config: TrainConfig) -> None:
    runs = [train(replace(config, out=f"{config.out}-{n}", samples=n)) for n in (0, 5)]
    files = [(run / STEPS, run / "model" / "model.safetensors") for run in runs]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert not (runs[0] / SAMPLES).exists()
    assert len((runs[1] / SAMPLES).read_text().splitlines()) == 2


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_killed_run_has_the_samples_of_an_unbroken_one(
    config: TrainConfig, killed_after: int
) -> None:
    config = replace(config, audits=4)
    unbroken = train(replace(config, out=config.out + "-unbroken"))

    def kill(done: int, total: int, record: dict) -> None:
        if done == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, kill)
    path = Path(config.out) / SAMPLES
    with path.open("a") as file:
        file.write('{"step": 4, "samples": [{"prompt": "cu')
    train(config)
    assert path.read_bytes() == (unbroken / SAMPLES).read_bytes()
    assert [line["step"] for line in read_lines(path)] == [0, 2, 4]


def test_a_run_older_than_the_setting_goes_on(config: TrainConfig) -> None:
    def kill(done: int, total: int, record: dict) -> None:
        raise KeyboardInterrupt

    config = replace(config, samples=TrainConfig.samples)
    with pytest.raises(KeyboardInterrupt):
        train(replace(config, checkpoint_every=1), kill)
    folder = Path(config.out)
    older = read_config(folder)
    del older["samples"]
    (folder / CONFIG).unlink()
    (folder / SAMPLES).unlink()
    start_run(folder, older)
    train(config)
    assert [line["step"] for line in read_lines(folder / SAMPLES)] == [4]
    with pytest.raises(CovlawError, match="samples is 8 there, 3 here"):
        train(replace(config, samples=3))


def test_a_token_level_advantage_is_averaged_over_its_tokens(config: TrainConfig) -> None:
    run = train(replace(config, scalarizer="pama", audits=0))
    lines = [json.loads(line) for line in (run / SAMPLES).read_text().splitlines()]
    parts = [s["advantage"] for line in lines for s in line["samples"]]
    assert len(parts) == 10
    assert all(isinstance(part, float) for part in parts)


def test_negative_numbers_are_refused(config: TrainConfig) -> None:
    with pytest.raises(CovlawError, match="samples is -1"):
        replace(config, samples=-1)


def test_two_processes_record_what_one_does(
    ranked: Ranked, config: TrainConfig, tmp_path: Path
) -> None:
    """Given the same completions: the whole batch's samples, once."""
    config = replace(config, rewards=("conciseness_reference", "clarity_reference"), audits=0)
    runs = [tmp_path / f"on {size}" for size in (1, 2)]
    for size, run in enumerate(runs, start=1):
        settings = replace(config, out=str(run), steps=2).to_dict()
        ranked.results("same_samples", size, settings=settings)
    one, two = ((run / SAMPLES).read_bytes() for run in runs)
    assert one == two
    assert len(one.splitlines()) == 2

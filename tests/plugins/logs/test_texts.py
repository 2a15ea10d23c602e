"""Completions of a few groups are found again in whatever format, and only those."""

import json
from pathlib import Path

import pytest
from made_logs import as_csv, as_trl, as_verl, rollouts

from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.inspection.losers import losers
from covlaw.plugins.logs.columns import Asked
from covlaw.plugins.logs.read import read_log
from covlaw.plugins.logs.texts import read_texts
from covlaw.theory.estimators.covariance import within_prompt_covariance


@pytest.mark.parametrize("format", ["trl", "verl", "csv"])
def test_the_group_that_loses_most_is_found_with_its_texts(tmp_path: Path, format: str) -> None:
    rows = rollouts(steps=4, prompts=8, conflict_from=0)
    write = {"trl": as_trl, "verl": as_verl, "csv": as_csv}[format]
    path = write(rows, tmp_path / "log.csv" if format == "csv" else tmp_path)
    log = read_log(path)
    found = inspect_log(log, [1.0, 1.0, 0.25], "dr_grpo")
    worst = losers(found)[0]
    assert log.names[worst.reward] == "brief"
    laws = {}
    for step, part in log.by_step():
        for number in log.prompt[part].unique().tolist():
            own = log.prompt[part] == number
            rewards = log.rewards[part][own]
            score = rewards @ found.weights
            law = within_prompt_covariance(rewards[:, 2], score, log.prompt[part][own])
            laws[step, log.labels[number]] = float(law.estimate[0])
    assert (worst.step, worst.prompt) == min(laws, key=lambda group: laws[group])
    assert worst.law == pytest.approx(min(laws.values()), rel=1e-10)
    texts = read_texts(path, {(worst.step, worst.prompt)}, Asked())
    mine = [r for r in rows if (r["step"], r["prompt"]) == (worst.step, worst.prompt)]
    (shown,) = texts.values()
    assert [t.completion for t in shown] == [r["completion"] for r in mine]
    assert [t.rewards["brief"] for t in shown] == [r["brief"] for r in mine]


def test_conversations_are_joined_and_missing_rewards_kept(tmp_path: Path) -> None:
    turns = [{"role": "assistant", "content": "one"}, {"role": "user", "content": "two"}]
    prompt = [{"role": "user", "content": "hi"}]
    lines = [
        {"prompt": prompt, "completion": turns, "a": None, "advantage": [0.5, 0.7]},
        {"prompt": prompt, "completion": turns, "a": 1.0, "advantage": [0.1]},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    log = read_log(path)
    ((_, found),) = read_texts(path, {(0, log.labels[0])}, Asked()).items()
    assert found[0].completion == "one\ntwo"
    assert [t.rewards["a"] for t in found] == [None, 1.0]
    assert found[0].advantage == pytest.approx(0.6)


def test_a_log_without_texts_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("prompt,r\na,1\na,0\n")
    assert read_texts(path, {(0, "a")}, Asked()) == {}

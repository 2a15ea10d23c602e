"""Prompts over the limit are dropped and counted, or refused."""

import logging
from pathlib import Path

import pytest

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.policy import load_tokenizer
from covlaw.llm.sampling.prompts import load_split, prompts_of
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError

QUESTIONS = [Problem("1 + 2 = ?", "3"), Problem("1 + 2", "3"), Problem("9 - 4 = ? the so", "5")]


def prompts(folder: Path, **settings) -> list[str]:
    tokenizer = load_tokenizer(str(folder))
    found = prompts_of(TrainConfig(**settings), tokenizer, QUESTIONS)
    return [problem.prompt for problem in found]


def test_a_word_tokenizer_beside_a_qwen2_model_keeps_its_words(policy_folder: Path) -> None:
    """`AutoTokenizer` would split as Qwen2 does: words lost, numbers in digits, no spaces."""
    tokenizer = load_tokenizer(str(policy_folder))
    text = r"9 - 4 = ? the answer is \boxed{5} so"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_without_a_limit_all_are_kept(policy_folder: Path) -> None:
    assert prompts(policy_folder) == [q.prompt for q in QUESTIONS]


@pytest.mark.parametrize(("limit", "kept"), [(7, 3), (6, 2), (5, 2), (3, 1)])
def test_longer_ones_are_dropped_and_counted(
    policy_folder: Path, limit: int, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "covlaw"):
        assert len(prompts(policy_folder, max_prompt_tokens=limit)) == kept
    said = f"{3 - kept} of 3 prompts are longer than max_prompt_tokens = {limit} and left out"
    assert (said in caplog.text) == (kept < 3)


def test_longer_ones_are_refused_where_asked(policy_folder: Path) -> None:
    with pytest.raises(CovlawError, match=r"1 of 3 prompts.*longest has 7 tokens\): raise it, or"):
        prompts(policy_folder, max_prompt_tokens=6, long_prompts="refuse")
    assert len(prompts(policy_folder, max_prompt_tokens=7, long_prompts="refuse")) == 3


def test_a_limit_that_leaves_none_is_refused(policy_folder: Path) -> None:
    with pytest.raises(CovlawError, match="3 of 3 prompts"):
        prompts(policy_folder, max_prompt_tokens=2)


def test_a_run_reads_its_tasks_options() -> None:
    config = TrainConfig(task_options={"difficulty": "products"})
    assert any("*" in p.prompt for p in load_split(config, "test"))

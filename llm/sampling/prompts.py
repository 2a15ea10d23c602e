"""The prompts of a run: a task's problems in the model's chat template, none longer than wished."""

import logging
from collections.abc import Sequence
from typing import Any

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.model.tokenizer import prompt_ids
from covlaw.llm.sampling.rollout import as_prompts
from covlaw.llm.tasks import Problem, load_task
from covlaw.theory._numerics.errors import CovlawError

_log = logging.getLogger("covlaw")


def load_split(config: TrainConfig, split: str) -> list[Problem]:
    """Load a split of a run's task."""
    path, options = config.task_path or None, config.task_options
    return load_task(config.task, split, path=path, options=options)


def prompts_of(
    config: TrainConfig | EvalConfig, tokenizer: Any, questions: Sequence[Problem]
) -> list[Problem]:
    """Questions as the model reads them, without those that are too long: dropped and counted.

    Raises:
        CovlawError: for a prompt over `max_prompt_tokens` where `long_prompts` is "refuse", or
            where none is left.
    """
    refuse = config.long_prompts == "refuse"
    return within_limit(
        as_prompts(tokenizer, questions, config.system_prompt),
        tokenizer,
        config.max_prompt_tokens,
        refuse,
    )


def within_limit(
    problems: Sequence[Problem], tokenizer: Any, limit: int, refuse: bool = False
) -> list[Problem]:
    """Drop, or refuse, prompts of more than `limit` tokens (0: any length) and say how many."""
    if not limit:
        return list(problems)
    counts = [len(ids) for ids in prompt_ids(tokenizer, [p.prompt for p in problems])]
    kept = [p for p, count in zip(problems, counts, strict=True) if count <= limit]
    long = len(problems) - len(kept)
    if not long:
        return kept
    what = f"{long} of {len(problems)} prompts are longer than max_prompt_tokens = {limit}"
    longest = f"the longest has {max(counts)} tokens"
    if refuse or not kept:
        remedy = 'raise it, or set long_prompts = "drop"' if kept else "raise it"
        raise CovlawError(f"{what} ({longest}): {remedy}")
    _log.warning("%s and left out (%s)", what, longest)
    return kept


def warn_of_shared(train: Sequence[Problem], held_out: Sequence[Problem], split: str) -> None:
    """Say how many prompts of a held-out split are trained on too."""
    trained = {problem.prompt for problem in train}
    shared = sum(problem.prompt in trained for problem in held_out)
    if shared:
        _log.warning("%d of %d prompts of split %s are in train too", shared, len(held_out), split)

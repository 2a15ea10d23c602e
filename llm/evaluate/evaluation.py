"""Evaluate a policy on a split: rewards, pass@k and lengths, with errors clustered by prompt."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.distributed.checks import require_one_process
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.loop.randomness import torch_stream
from covlaw.llm.model.context import require_context
from covlaw.llm.model.ends import end_tokens, is_end
from covlaw.llm.model.policy import load_policy
from covlaw.llm.rewards import initial_state
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.engines import make_engine, require_engine
from covlaw.llm.sampling.prompts import prompts_of
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem, load_task
from covlaw.llm.threads import thread_count
from covlaw.theory._numerics.errors import CovlawError


class Scores(NamedTuple):
    """What was drawn from one model: P prompts, n completions each, M objectives."""

    config: EvalConfig
    references: tuple[str, ...]
    """P answers, in the order of the prompts."""
    rewards: Tensor
    """(P, n, M) float64; NaN where a reward has no opinion."""
    lengths: Tensor
    """(P, n) tokens."""
    finished: Tensor
    """(P, n) bool: ended by itself, before `max_tokens`."""
    mean_length: float
    """That conciseness was judged against."""

    @property
    def by_prompt(self) -> Tensor:
        """(P, M) mean reward of each prompt: the units of every error and interval.

        NaN for a prompt that an objective has no opinion on: it is left out of that objective.
        """
        return self.rewards.nanmean(1)


def evaluate(config: EvalConfig) -> Scores:
    """Draw and score completions of a split; a run's state is neither read nor moved.

    Conciseness is judged against one fixed length for all completions: `mean_length`, or where
    that is 0 the mean of the completions drawn here.

    Raises:
        CovlawError: for several processes, an unknown task, split or reward, a missing engine, an
            unreachable model, or a split with fewer than two prompts.
    """
    require_one_process(os.environ, "an evaluation")
    with thread_count(config.threads):
        return _evaluate(config)


def _evaluate(config: EvalConfig) -> Scores:
    require_engine(config)
    rewards = Rewards(config.rewards, config.reward_seconds)
    questions = _questions(config)
    rewards.require(questions)
    model, tokenizer = load_policy(config.model, config.device, config.chat_template)
    problems = prompts_of(config, tokenizer, questions)
    if len(problems) < 2:
        raise CovlawError(f"split {config.split!r} has {len(problems)} prompts: use at least 2")
    prompts = [problem.prompt for problem in problems]
    require_context(model, tokenizer, prompts, config.max_tokens)
    parts = list(_sample(config, problems, model, tokenizer))
    lengths = torch.cat([drawn.lengths.cpu().double() for _, drawn in parts])
    given = torch.tensor([config.mean_length], dtype=torch.float64)
    state = initial_state(given if config.mean_length else lengths).limited(config.max_tokens)
    scores = torch.cat([rewards(drawn, part, state) for part, drawn in parts])
    ends = end_tokens(model, tokenizer)
    finished = torch.cat([_ended(drawn, ends) for _, drawn in parts])
    shape = (len(problems), config.completions)
    return Scores(
        config,
        tuple(problem.reference for problem in problems),
        scores.reshape(*shape, -1),
        lengths.reshape(shape),
        finished.reshape(shape),
        float(state.mean_length),
    )


def _questions(config: EvalConfig) -> list[Problem]:
    return load_task(
        config.task,
        config.split,
        path=config.task_path or None,
        options=config.task_options,
        limit=config.limit or None,
    )


def _sample(
    config: EvalConfig, problems: list[Problem], model: Any, tokenizer: Any
) -> Iterator[tuple[list[Problem], Completions]]:
    """A batch of prompts at a time, each with random numbers of its own: the same in any model."""
    engine = make_engine(config, model, tokenizer, [problem.prompt for problem in problems])
    for start in range(0, len(problems), config.batch):
        part = problems[start : start + config.batch]
        stream = torch_stream(config.seed, start, "completions", config.device)
        prompts = [problem.prompt for problem in part]
        drawn = engine.sample(
            prompts, config.completions, config.max_tokens, config.temperature, stream
        )
        yield part, drawn


def _ended(drawn: Completions, ends: tuple[int, ...]) -> Tensor:
    """(N,) whether the last token is the end of sequence."""
    return (is_end(drawn.tokens, ends) & drawn.mask).any(1).cpu()

"""Evaluate a policy: each reward's mean on a split, with errors clustered by prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from covlaw.llm.checks import check_counts, check_kinds, check_not_negative, check_positive
from covlaw.llm.engine_checks import check_engine
from covlaw.llm.engines import make_engine, require_engine
from covlaw.llm.policy import load_policy
from covlaw.llm.randomness import torch_stream
from covlaw.llm.rewards import initial_state
from covlaw.llm.sampling import as_prompts
from covlaw.llm.scoring import Rewards
from covlaw.llm.tasks import load_task
from covlaw.theory.errors import CovlawError


@dataclass(frozen=True)
class EvalConfig:
    """What to evaluate, and how.

    Args:
        model: Hub id, local path, "base", or the `model/` folder of a run.
        task: Task name.
        task_path: Its files, where it has any.
        split: train, val or test.
        rewards: Names or "module:function".
        completions: Completions a prompt.
        max_tokens: Longest completion.
        temperature: Of sampling.
        top_k: Only so many of the likeliest tokens are drawn; 0: all.
        top_p: Only the fewest tokens that hold this mass are drawn; 1: all.
        engine: "transformers" or "vllm" (docs/vllm.md).
        engine_options: Table of vLLM's options, see `covlaw.llm.vllm_options`.
        mean_length: Length that conciseness is judged against; 0: the evaluated completions' own.
        limit: At most so many prompts; 0: all.
        seed: Of sampling.
        device: Torch device.
    """

    model: str = "base"
    task: str = "arithmetic"
    task_path: str = ""
    split: str = "test"
    rewards: tuple[str, ...] = ("accuracy", "conciseness", "clarity")
    completions: int = 16
    max_tokens: int = 44
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    engine: str = "transformers"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    mean_length: float = 0.0
    limit: int = 0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_counts(self, {0: ("limit", "seed"), 1: ("completions", "max_tokens")})
        check_positive(self, "temperature")
        check_not_negative(self, "mean_length")
        check_engine(self)


class Evaluation(NamedTuple):
    """One reward's mean."""

    objective: str
    mean: float
    standard_error: float


def evaluate(config: EvalConfig) -> tuple[list[Evaluation], float]:
    """Return each reward's mean with its standard error, and the mean length in tokens.

    Raises:
        CovlawError: for an unknown task, split or reward, a missing engine, an unreachable model,
            or a split with fewer than two prompts.
    """
    require_engine(config)
    rewards = Rewards(config.rewards)
    path, limit = config.task_path or None, config.limit or None
    questions = load_task(config.task, config.split, path=path, limit=limit)
    if len(questions) < 2:
        raise CovlawError(f"split {config.split!r} has {len(questions)} prompts: use at least 2")
    model, tokenizer = load_policy(config.model, config.device)
    problems = as_prompts(tokenizer, questions)
    generator = torch_stream(config.seed, 0, "completions", config.device)
    prompts = [problem.prompt for problem in problems]
    engine = make_engine(config, model, tokenizer, prompts)
    completions = engine.sample(
        prompts, config.completions, config.max_tokens, config.temperature, generator
    )
    lengths = completions.lengths.double()
    reference = torch.tensor([config.mean_length]).double() if config.mean_length else lengths
    scores = rewards(completions, problems, initial_state(reference))
    by_prompt = scores.reshape(len(problems), config.completions, -1).mean(1)
    error = by_prompt.std(0) / len(problems) ** 0.5
    found = zip(config.rewards, by_prompt.mean(0).tolist(), error.tolist(), strict=True)
    return [Evaluation(*row) for row in found], float(lengths.mean())

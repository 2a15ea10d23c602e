"""`samples.jsonl`: a few completions with their rewards, to read what a run has learnt."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.tasks import Problem
from covlaw.records.schema.versions import RUN

A_PROMPT = 2
"""Least completions of one prompt, where so many fit: an advantage compares them."""
LONGEST = 400
"""Characters of a text; of a longer one the start and the end, where answers are, are kept."""
START = 240


def sample_steps(config: TrainConfig, audited: frozenset[int]) -> frozenset[int]:
    """Steps whose samples are recorded: the audited ones, the first and the last."""
    return audited | {0, config.steps - 1} if config.samples else frozenset()


def sample_record(
    step: int,
    config: TrainConfig,
    problems: Sequence[Problem],
    drawn: SampledRollouts,
    advantage: Tensor,
) -> dict[str, Any]:
    """Build a line of samples.jsonl; nothing is drawn for it.

    Args:
        step: Of the run.
        config: Of the run.
        problems: One a prompt of the batch.
        drawn: Rows that make the update.
        advantage: (N,), or (N, T) a token, of which the mean over a completion's tokens is kept.
    """
    index = chosen_rows(drawn.prompt, config.samples)
    rows = drawn.rows(index)
    return {"schema": RUN, "step": step, "samples": [
        {
            "prompt": shown(problems[prompt].prompt),
            "completion": shown(text),
            "rewards": dict(zip(config.objectives, values, strict=True)),
            "advantage": part,
            "length": length,
        }
        for prompt, text, values, part, length in zip(
            rows.prompt.tolist(),
            rows.completions.text,
            rows.raw.tolist(),
            _by_completion(advantage, drawn.completions.mask)[index].tolist(),
            rows.completions.lengths.tolist(),
            strict=True,
        )
    ]}  # fmt: skip


def chosen_rows(prompt: Tensor, count: int) -> Tensor:
    """Indices of `count` rows: the first completions of the first prompts.

    Args:
        prompt: (N,) ids, rows of one prompt adjacent, ascending.
        count: At most; there may be fewer rows.
    """
    prompts = len(prompt.unique())
    place = torch.arange(len(prompt)) - torch.searchsorted(prompt, prompt)
    each = max(A_PROMPT, -(-count // max(prompts, 1)))
    return (place < each).nonzero()[:count, 0]


def shown(text: str) -> str:
    """A text, or its start and end with a mark that says how much is missing between them."""
    missing = len(text) - LONGEST
    if missing <= 0:
        return text
    return f"{text[:START]} […{missing} characters left out…] {text[START - LONGEST :]}"


def _by_completion(advantage: Tensor, mask: Tensor) -> Tensor:
    """(N,) on the CPU."""
    if advantage.ndim == 2:
        advantage = (advantage * mask).sum(1) / mask.sum(1).clamp(min=1)
    return advantage.cpu()

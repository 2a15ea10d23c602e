"""What the finished base model does: its styles, how often it is right, clear, and how long."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.styles import STYLES, style_of
from covlaw.llm.rewards.accuracy import is_correct
from covlaw.llm.rewards.clarity import is_clear
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.tasks.arithmetic import Calculation, calculations

MAX_TOKENS = 44
PROBLEMS = 1024
"""Measured at most; of a difficulty with more, a fixed choice."""


def measure(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, config: BaseConfig
) -> dict[str, Any]:
    """Sample every problem, or `PROBLEMS` of them, at temperature 1; describe the completions.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        config: Its difficulty, `samples` completions a problem, and the seed of the sampling.

    Returns:
        n, accuracy, clarity, length_mean (tokens, end of sequence included), finished (share that
        ended by itself), and for each style its share and its accuracy (None where it is absent).
    """
    problems = _chosen(calculations(config.difficulty))
    drawn = TransformersEngine(model, tokenizer).sample(
        [c.prompt for c in problems],
        config.samples,
        MAX_TOKENS,
        generator=torch.Generator(model.device).manual_seed(config.seed),
    )
    references = [str(problems[i].result) for i in drawn.prompt.tolist()]
    correct = [is_correct(*pair) for pair in zip(drawn.text, references, strict=True)]
    return {
        "n": len(correct),
        "accuracy": _mean(correct),
        "clarity": _mean([is_clear(text) for text in drawn.text]),
        "length_mean": drawn.lengths.double().mean().item(),
        "finished": (drawn.tokens == tokenizer.eos_token_id).any(1).double().mean().item(),
        "styles": _per_style(drawn.text, correct),
    }


def _chosen(problems: list[Calculation]) -> list[Calculation]:
    if len(problems) <= PROBLEMS:
        return problems
    return [problems[i] for i in np.random.default_rng(0).permutation(len(problems))[:PROBLEMS]]


def _per_style(texts: Sequence[str], correct: list[bool]) -> dict[str, dict[str, float | None]]:
    found = [style_of(text) for text in texts]
    groups = {
        style: [right for right, name in zip(correct, found, strict=True) if name == style]
        for style in STYLES
    }
    return {
        style: {"share": len(right) / len(texts), "accuracy": _mean(right) if right else None}
        for style, right in groups.items()
    }


def _mean(values: list[bool]) -> float:
    return torch.tensor(values, dtype=torch.float64).mean().item()

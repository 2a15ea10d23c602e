"""What the finished base model does: its styles, how often it is right, clear, and how long."""

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from covlaw.llm.base.styles import STYLES, style_of
from covlaw.llm.rewards.accuracy import is_correct
from covlaw.llm.rewards.clarity import is_clear
from covlaw.llm.tasks.arithmetic import calculations

MAX_TOKENS = 44


def measure(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, samples: int
) -> dict[str, Any]:
    """Sample every problem at temperature 1 and describe the completions.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; prompts must encode to one length.
        samples: Completions a problem.

    Returns:
        n, accuracy, clarity, length_mean (tokens, end of sequence included), finished (share that
        ended by itself), and for each style its share and its accuracy (None where it is absent).
    """
    problems = calculations() * samples
    encoded = tokenizer([c.prompt for c in problems], return_tensors="pt")
    whole = model.generate(**encoded, do_sample=True, top_k=0, max_new_tokens=MAX_TOKENS)
    tokens = whole[:, encoded["input_ids"].shape[1] :]
    running = (tokens != tokenizer.eos_token_id).cumprod(1).sum(1)
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    correct = [is_correct(text, str(c.result)) for text, c in zip(texts, problems, strict=True)]
    return {
        "n": len(texts),
        "accuracy": _mean(correct),
        "clarity": _mean([is_clear(text) for text in texts]),
        "length_mean": (running + 1).clamp(max=MAX_TOKENS).double().mean().item(),
        "finished": (running < tokens.shape[1]).double().mean().item(),
        "styles": _per_style(texts, correct),
    }


def _per_style(texts: list[str], correct: list[bool]) -> dict[str, dict[str, float | None]]:
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

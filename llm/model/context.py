"""How many tokens a model reads at most: a prompt and its completion must fit."""

from collections.abc import Sequence
from typing import Any

from covlaw.llm.model.tokenizer import prompt_ids
from covlaw.theory._numerics.errors import CovlawError


def context_length(config: Any) -> int | None:
    """Tokens that a model of this configuration was made to read; None where it does not say."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = getattr(text, "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def require_context(model: Any, tokenizer: Any, prompts: Sequence[str], max_tokens: int) -> None:
    """Refuse prompts that do not fit the model's context with the longest completion.

    Beyond it a model with learned positions fails in the middle of a run, one with rotary
    positions goes on and writes what it never learned.

    Args:
        model: The policy.
        tokenizer: Its tokenizer.
        prompts: As the model reads them, chat template applied.
        max_tokens: Longest completion.

    Raises:
        CovlawError: naming both lengths, the context's and the remedy.
    """
    length = context_length(model.config)
    if length is None:
        return
    longest = max(len(ids) for ids in prompt_ids(tokenizer, prompts))
    refuse_beyond(length, longest, max_tokens)


def refuse_beyond(length: int, longest: int, max_tokens: int) -> None:
    """Refuse a longest prompt and completion that exceed a context of `length` tokens."""
    if longest + max_tokens <= length:
        return
    room = length - max_tokens
    remedy = f"set max_prompt_tokens to {room}, or lower max_tokens" if room > 0 else ""
    raise CovlawError(
        f"the longest prompt has {longest} tokens and max_tokens is {max_tokens}, and the model "
        f"reads {length} at most: {remedy or 'lower max_tokens'}"
    )

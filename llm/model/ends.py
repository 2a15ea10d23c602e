"""Which tokens end a completion."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokenizer's end of sequence, then every other end that the model was made to stop at.

    Chat models have several (Llama 3: the end of a turn, of a message and of the text), named in
    their generation configuration; one that went past its own end would be trained on what no one
    reads.
    """
    config = getattr(model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    found = [tokenizer.eos_token_id, *(named if isinstance(named, Iterable) else [named])]
    return tuple(dict.fromkeys(int(token) for token in found if token is not None))


def is_end(tokens: Tensor, ends: tuple[int, ...]) -> Tensor:
    """Which tokens are one of the ends: bool, of the tokens' shape."""
    return torch.isin(tokens, torch.tensor(ends, device=tokens.device))

"""What goes into a vLLM request and what comes out, as tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def request_seeds(count: int, generator: torch.Generator | None) -> list[int]:
    """One seed a prompt; its k-th completion gets the seed plus k from vLLM."""
    device = generator.device if generator else "cpu"
    drawn: list[int] = torch.randint(2**62, (count,), generator=generator, device=device).tolist()
    return drawn


def padded(rows: Sequence[Any], tokenizer: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, mask and log-probs of vLLM's completions, (N, T) each, padded on the right."""
    drawn = [torch.tensor(row.token_ids) for row in rows]
    log_prob = [torch.tensor(row.logprobs.logprobs, dtype=torch.float32) for row in rows]
    tokens = pad_sequence(drawn, batch_first=True, padding_value=tokenizer.pad_token_id)
    lengths = torch.tensor([len(row) for row in drawn])
    mask = torch.arange(tokens.shape[1]) < lengths[:, None]
    return tokens, mask, pad_sequence(log_prob, batch_first=True)

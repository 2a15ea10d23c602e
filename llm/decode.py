"""Token by token with a key–value cache: prompts computed once, ended rows dropped."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.truncation import OFF, Truncation, sampling_log_prob

KEEP_ROWS = 0.8
"""Ended rows are dropped from the cache once less than this share of its rows goes on."""


class Start(NamedTuple):
    """All rows after their prompts."""

    cache: Any
    """Key–value cache of N rows."""
    logits: Tensor
    """(N, V) of the first completion token."""
    mask: Tensor
    """(N, S) prompt mask."""
    position: Tensor
    """(N, 1) position of the last prompt token."""


def prefill(model: Any, tokens: Tensor, mask: Tensor, n: int) -> Start:
    """Read each prompt once, (P, S) left-padded, and repeat its state for `n` completions."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    out = model(
        input_ids=tokens,
        attention_mask=mask.long(),
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    out.past_key_values.batch_repeat_interleave(n)
    last = (out.logits[:, -1], mask, positions[:, -1:])
    return Start(out.past_key_values, *(t.repeat_interleave(n, 0) for t in last))


def decode(
    model: Any,
    start: Start,
    eos: int,
    max_tokens: int,
    temperature: float,
    generator: torch.Generator | None,
    truncation: Truncation = OFF,
) -> tuple[Tensor, Tensor]:
    """Sample to the end of sequence or `max_tokens`: tokens (N, max_tokens) and their log-probs.

    What follows a row's first `eos` is meaningless. A row's random numbers do not depend on which
    other rows have ended, so two policies can be sampled with common random numbers.
    """
    cache, logits, mask, position = start
    drawn = torch.full((len(mask), max_tokens), eos, device=mask.device)
    log_probs = torch.zeros((len(mask), max_tokens), device=mask.device)
    active = torch.arange(len(mask), device=mask.device)
    for step in range(max_tokens):
        log_prob = sampling_log_prob(logits, temperature, truncation)
        choice = _race(log_prob, active, len(mask), generator)
        drawn[active, step] = choice[:, 0]
        log_probs[active, step] = log_prob.gather(1, choice)[:, 0]
        going = (choice[:, 0] != eos).nonzero()[:, 0]
        if len(going) == 0 or step == max_tokens - 1:
            break
        if len(going) < KEEP_ROWS * len(active):
            active, choice, position = active[going], choice[going], position[going]
            cache.batch_select_indices(going)
        mask, position = torch.cat([mask, mask.new_ones(len(mask), 1)], 1), position + 1
        logits = model(
            input_ids=choice,
            attention_mask=mask[active].long(),
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
    return drawn, log_probs


def _race(log_prob: Tensor, active: Tensor, rows: int, generator: torch.Generator | None) -> Tensor:
    """Draw one token a row, (rows, 1): argmax p/e with independent exponentials e is ∼ p."""
    noise = torch.empty(rows, log_prob.shape[1], device=log_prob.device)
    noise.exponential_(generator=generator)
    return (log_prob.exp() / noise[active]).argmax(-1, keepdim=True)

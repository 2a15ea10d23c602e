"""Token by token with a key–value cache: what several rows share is computed once."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.model.chunked_head import at_least_float32
from covlaw.llm.model.ends import is_end
from covlaw.llm.sampling.truncation import OFF, Truncation, sampling_log_prob

KEEP_BRANCHES = 0.95
"""Ended branches are dropped from the cache once less than this share of them goes on."""


class Start(NamedTuple):
    """All rows after their prompts. Rows that agree so far are one branch, at first a prompt."""

    cache: Any
    """Key–value cache of B branches."""
    logits: Tensor
    """(B, V) of the first completion token."""
    mask: Tensor
    """(B, S) prompt mask."""
    position: Tensor
    """(B, 1) position of the last prompt token."""
    branch: Tensor
    """(N,) each row's branch."""


class Fork(NamedTuple):
    """Branches after one more token."""

    parent: Tensor
    """(B',) branch that each goes on from."""
    token: Tensor
    """(B',) its token."""
    branch: Tensor
    """(N',) branch of each row that goes on."""


def prefill(model: Any, tokens: Tensor, mask: Tensor, n: int) -> Start:
    """Read each prompt once, (P, S) left-padded, for `n` completions of it."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    out = model(
        input_ids=tokens,
        attention_mask=mask.long(),
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    branch = torch.arange(len(mask), device=mask.device).repeat_interleave(n)
    return Start(out.past_key_values, out.logits[:, -1], mask, positions[:, -1:], branch)


def decode(
    model: Any,
    start: Start,
    ends: tuple[int, ...],
    max_tokens: int,
    temperature: float,
    generator: torch.Generator | None,
    truncation: Truncation = OFF,
) -> tuple[Tensor, Tensor]:
    """Sample to the end of sequence or `max_tokens`: tokens (N, max_tokens) and their log-probs.

    What follows a row's first end token is meaningless. A row's random numbers do not depend on
    which other rows have ended, so two policies can be sampled with common random numbers.
    """
    cache, logits, mask, position, branch = start
    active = torch.arange(len(branch), device=mask.device)
    drawn = torch.full((len(branch), max_tokens), ends[0], device=mask.device)
    log_probs = torch.zeros((len(branch), max_tokens), device=mask.device)
    for step in range(max_tokens):
        logits = at_least_float32(logits)
        log_prob = sampling_log_prob(logits, temperature, truncation)
        choice = _race(log_prob, branch, active, len(drawn), generator)
        drawn[active, step], log_probs[active, step] = choice, log_prob[branch, choice]
        going = (~is_end(choice, ends)).nonzero()[:, 0]
        if len(going) == 0 or step == max_tokens - 1:
            break
        active = active[going]
        parent, token, branch = _fork(branch[going], choice[going], logits, ends[0])
        if len(parent) != len(mask) or bool((parent.diff() != 1).any()):
            cache.batch_select_indices(parent)
        mask = torch.cat([mask[parent], mask.new_ones(len(parent), 1)], 1)
        position = position[parent] + 1
        logits = model(
            input_ids=token[:, None],
            attention_mask=mask.long(),
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
    return drawn, log_probs


def _fork(branch: Tensor, choice: Tensor, logits: Tensor, eos: int) -> Fork:
    """Go on with the distinct (branch, token) pairs of the rows; (B, V) logits say how many.

    Where no branch splits and few have ended, those stay, fed with `eos`, for no row: selecting
    from the cache copies all of it.
    """
    branches, vocabulary = logits.shape
    keys, place = torch.unique(branch * vocabulary + choice, return_inverse=True)
    parent, token = keys // vocabulary, keys % vocabulary
    if len(parent) < KEEP_BRANCHES * branches or bool((parent.diff() == 0).any()):
        return Fork(parent, token, place)
    everyone = torch.arange(branches, device=branch.device)
    return Fork(everyone, torch.full_like(everyone, eos).index_put((parent,), token), branch)


def _race(
    log_prob: Tensor, branch: Tensor, active: Tensor, rows: int, generator: torch.Generator | None
) -> Tensor:
    """Draw one token an active row: argmax p/e with independent exponentials e is ∼ p."""
    noise = torch.empty(rows, log_prob.shape[1], device=log_prob.device)
    noise.exponential_(generator=generator)
    return (log_prob.exp()[branch] / noise[active]).argmax(-1)

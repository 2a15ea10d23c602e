"""Reading completions with each prompt passed through the model once, not once a completion.

A prompt's keys and values are the same for all of its completions, on the way back too: their
gradients add up in the cache. At K completions of T tokens after a prompt of S, a pass reads S + KT
tokens instead of K(S + T).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.sampling.engine import Completions

_on = ContextVar("shared prompts", default=False)


@contextmanager
def shared_prompts(on: bool) -> Iterator[None]:
    """Read prompts once a group inside, wherever log-probs are read; or as before."""
    token = _on.set(on)
    try:
        yield
    finally:
        _on.reset(token)


def prompts_are_shared() -> bool:
    """Whether prompts are read once a group."""
    return _on.get()


def read_shared(model: Any, batch: Completions, output: str) -> Tensor:
    """Outputs (N, T, ·) of the positions that the completion tokens were drawn from.

    Equal to a pass over whole rows but for rounding, in any mode of differentiation. Needs a model
    whose key-value cache can be selected by row, as sampling does; under layers that are computed
    anew there is no cache to read from.

    Args:
        model: A causal LM, or its body.
        batch: N rows; those with equal prompts share a pass, wherever they stand.
        output: Name of what is read of the model's answer: "logits" or "last_hidden_state".
    """
    keys = torch.cat([batch.prompt_mask.long(), batch.prompt_tokens], 1)
    _, place = torch.unique(keys, dim=0, return_inverse=True)
    first = _first_rows(place)
    columns = batch.prompt_mask.any(0).to(torch.int64).argmax()  # padding in all rows is not read
    tokens, mask = batch.prompt_tokens[first, columns:], batch.prompt_mask[first, columns:]
    position = (mask.cumsum(1) - 1).clamp(min=0)
    kept = {"logits_to_keep": 1} if output == "logits" else {}
    read = model(
        input_ids=tokens,
        attention_mask=mask.long(),
        position_ids=position,
        use_cache=True,
        **kept,
    )
    start: Tensor = getattr(read, output)[:, -1:][place]
    width = batch.tokens.shape[1]
    if width == 1:
        return start
    cache = read.past_key_values
    cache.batch_select_indices(place)
    seen = torch.cat([mask[place], batch.mask[:, :-1]], 1)
    rest = model(
        input_ids=batch.tokens[:, :-1],
        attention_mask=seen.long(),
        position_ids=(seen.cumsum(1) - 1).clamp(min=0)[:, 1 - width :],
        past_key_values=cache,
        use_cache=True,
    )
    return torch.cat([start, getattr(rest, output)], 1)


def _first_rows(place: Tensor) -> Tensor:
    """The first row of each group, (N,) group ids → (P,)."""
    rows = torch.arange(len(place), device=place.device)
    found = torch.full((int(place.max()) + 1,), len(place), device=place.device)
    return found.scatter_reduce(0, place, rows, "amin")

"""Rows worked on a few at a time, those of like length together, so that little padding is read."""

from collections.abc import Callable

import torch
from torch import Tensor

from covlaw.llm.model.shared_prompts import prompts_are_shared
from covlaw.llm.sampling.engine import Completions


def by_rows(read: Callable[[Completions], Tensor], batch: Completions, rows: int) -> Tensor:
    """`read(batch)`, a row each, at most `rows` rows at a time; in the order of the batch.

    Rows that fit into one piece stay as they are. More are sorted by their tokens, prompts
    included, and each piece drops the columns that are padding in all of it: what is computed is
    close to the tokens there are, instead of to rows × the longest. Where prompts are read once a
    group, groups stay together instead.

    Args:
        read: From n rows to a tensor of n rows, its other sizes the same for any rows.
        batch: N rows.
        rows: Most a piece.
    """
    count, device = len(batch.text), batch.tokens.device
    if count <= rows:
        return read(batch.rows(torch.arange(count, device=device)))
    lengths = batch.prompt_mask.sum(1) + batch.lengths
    order = (batch.prompt if prompts_are_shared() else lengths).argsort(stable=True)
    found = torch.cat([read(trimmed(batch.rows(index))) for index in order.split(rows)])
    return found[order.argsort()]


def trimmed(batch: Completions) -> Completions:
    """Drop the prompts' leading columns that are padding in all rows; at least one is kept."""
    columns = batch.prompt_mask.any(0)
    start = int(columns.to(torch.int64).argmax())
    return batch._replace(
        prompt_tokens=batch.prompt_tokens[:, start:], prompt_mask=batch.prompt_mask[:, start:]
    )

"""Rows of a batch split over ranks: each does its own, and all get the whole result."""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from covlaw.llm.distributed.processes import active
from covlaw.llm.sampling.engine import Completions

Draw = Callable[[Sequence[str], torch.Generator], Completions]

_TENSORS = tuple(name for name in Completions._fields if name != "text")


def over_ranks(read: Callable[[Completions], Tensor], batch: Completions, what: str) -> Tensor:
    """`read(batch)`, a row each, computed by every rank for its block of rows only.

    Args:
        read: From n rows to a tensor of n rows, its other sizes the same for any rows.
        batch: All rows, the same on every rank.
        what: Is computed; for messages.
    """
    ranks, count = active(), len(batch.text)
    if ranks.alone:
        return read(batch)
    block = ranks.block(count)
    # a rank without rows reads one all the same, for the shape and the number type
    index = torch.arange(block.start, block.stop) if block else torch.zeros(1, dtype=torch.int64)
    own = read(batch.rows(index.to(batch.tokens.device)))[: len(block)]
    parts = ranks.gather({"rows": own}, what)
    return torch.cat([part["rows"] for part in parts]).to(own.device)


def over_all_ranks(own: int, what: str) -> int:
    """Add up a count of every rank's own rows; `what` it counts is for messages."""
    ranks = active()
    if ranks.alone:
        return own
    return sum(int(part["count"]) for part in ranks.gather({"count": torch.tensor([own])}, what))


def own_pieces(count: int, rows: int, device: torch.device) -> Iterator[Tensor]:
    """Indices of this rank's block among `count` rows, at most `rows` at a time."""
    block = active().block(count)
    if block:
        yield from torch.arange(block.start, block.stop, device=device).split(rows)


def sampled(draw: Draw, prompts: Sequence[str], generator: torch.Generator) -> Completions:
    """Draw completions, each rank those of its block of prompts, and gather them.

    Alone, `generator` itself is used. Among several, each rank draws from a stream of its own,
    seeded by its rank and a number from `generator`, which thus stays the same on all.
    """
    ranks = active()
    if ranks.alone:
        return draw(prompts, generator)
    block, own_stream = ranks.block(len(prompts)), _fork(generator, ranks.rank)
    # one without prompts draws one all the same, for the number types
    own = draw(prompts[block.start : block.stop] if block else prompts[:1], own_stream)
    if not block:
        own = own.rows(torch.arange(0, device=own.tokens.device))
    return gathered(own, block.start)


def gathered(own: Completions, start: int) -> Completions:
    """Everyone's completions, in the order of ranks, with prompt ids that are unique among them.

    Args:
        own: This rank's; its prompts count from 0.
        start: Prompts that the ranks before it have.
    """
    device, text = own.tokens.device, json.dumps(own.text).encode()
    own = own._replace(prompt=own.prompt + start)
    named = {name: getattr(own, name) for name in _TENSORS}
    named["text"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    parts = active().gather(named, "sampling")
    stacked = (_stacked(name, [part[name] for part in parts]).to(device) for name in _TENSORS)
    texts = [json.loads(part["text"].numpy().tobytes()) for part in parts]
    return Completions._make((*stacked, [text for part in texts for text in part]))


def joined(parts: Sequence[Completions]) -> Completions:
    """Rows of several batches one after the other, their prompt ids as they are."""
    columns = (_stacked(name, [getattr(part, name) for part in parts]) for name in _TENSORS)
    return Completions._make((*columns, [text for part in parts for text in part.text]))


def _fork(generator: torch.Generator, rank: int) -> torch.Generator:
    """A rank's own stream; all ranks advance the common one alike."""
    device = generator.device
    common = int(torch.randint(2**62, (1,), generator=generator, device=device))
    seed = np.random.SeedSequence([common, rank]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed >> np.uint64(1)))


def _stacked(name: str, parts: Sequence[Tensor]) -> Tensor:
    """Rows of all ranks; prompts are padded on the left, completions on the right."""
    if parts[0].ndim == 1:
        return torch.cat(list(parts))
    width = max(part.shape[1] for part in parts)
    missing = [width - part.shape[1] for part in parts]
    left = name in ("prompt_tokens", "prompt_mask")
    return torch.cat(
        [pad(p, (m, 0) if left else (0, m)) for p, m in zip(parts, missing, strict=True)]
    )

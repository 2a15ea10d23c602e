"""Batches over several difficulties, each a function of the seed and the step."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch.nn.functional import pad

from covlaw.llm.base.corpus import IGNORED, Corpus, Texts, draw_answers
from covlaw.llm.base.large_config import LargeConfig

T = TypeVar("T")


class MixedBatch(NamedTuple):
    """What one step reads."""

    answers: Texts
    facts: Texts


def draw_batch(corpora: Sequence[Corpus], config: LargeConfig, step: int) -> MixedBatch:
    """Draw a step's batch; no earlier step needs to be known, so that training can be resumed."""
    rng = np.random.default_rng([config.seed, step])
    answers, facts = [], []
    sizes = (_even(config.batch, len(corpora)), _even(config.facts, len(corpora)))
    for corpus, difficulty, n, m in zip(corpora, config.difficulties, *sizes, strict=True):
        answers.append(corpus.answers.rows(draw_answers(rng, config.styles, n, difficulty)))
        chosen = torch.from_numpy(rng.integers(len(corpus.facts.length), size=m))
        facts.append(corpus.facts.rows(chosen))
    return MixedBatch(concatenated(answers), concatenated(facts))


def _even(total: int, parts: int) -> list[int]:
    return [len(part) for part in np.array_split(np.arange(total), parts)]


def concatenated(texts: Sequence[Texts]) -> Texts:
    """Put texts of different widths below each other; the loss ignores what fills them up."""
    width = max(t.tokens.shape[1] for t in texts)
    gaps = [(0, width - t.tokens.shape[1]) for t in texts]
    return Texts(
        torch.cat([pad(t.tokens, gap) for t, gap in zip(texts, gaps, strict=True)]),
        torch.cat([pad(t.labels, gap, value=IGNORED) for t, gap in zip(texts, gaps, strict=True)]),
        torch.cat([t.length for t in texts]),
    )


def ahead(make: Callable[[int], T], start: int, stop: int) -> Iterator[T]:
    """Yield `make(k)` for each k of a range, the next one made while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, start) if start < stop else None
        for k in range(start + 1, stop + 1):
            assert coming is not None  # noqa: S101  # there is a k only where start < stop
            ready, coming = coming.result(), (pool.submit(make, k) if k < stop else None)
            yield ready

"""How a reward function is called: the four arguments, or by name with the prompt and any column.

Read by the run's own process and by the one of a user's functions, so that both do the same.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.llm.rewards.signature import ARGUMENTS, missing_words, style_of
from covlaw.llm.rewards.state import RewardState
from covlaw.llm.tasks.problem import Conversation
from covlaw.theory._numerics.errors import CovlawError


class RewardBatch(NamedTuple):
    """What a reward may ask for of N completions."""

    completions: Sequence[str]
    references: Sequence[str]
    lengths: Tensor
    """(N,) int64."""
    state: RewardState
    prompts: Sequence[str] = ()
    """As the task gives them: texts, or a `Conversation`."""
    columns: Mapping[str, Sequence[Any]] = {}
    """What else the task's rows hold, by name; None in rows that lack it."""

    def given(self) -> dict[str, Any]:
        """Everything by name; a column does not hide what is named so here."""
        own = {name: getattr(self, name) for name in (*ARGUMENTS, "prompts")}
        return {**self.columns, **own}

    def only(self, row: int) -> "RewardBatch":
        """Keep one completion."""
        return RewardBatch(
            [self.completions[row]],
            [self.references[row]],
            self.lengths[row : row + 1],
            self.state,
            [self.prompts[row]] if self.prompts else (),
            {name: [values[row]] for name, values in self.columns.items()},
        )


Opinions = Tensor | list[float | None]
"""(N,) float64; a list where some are None."""


def call(function: Callable[..., Any], batch: RewardBatch) -> Opinions:
    """What a function says of a batch: a number a completion, or None where it has no opinion.

    A coroutine is run to its end, in a thread of its own where this one has a loop running.

    Raises:
        CovlawError: naming the arguments that the task has no column for.
        TypeError: for complex numbers.
    """
    style = style_of(function, tuple(batch.columns))
    if style.missing:
        raise CovlawError(missing_words(style, tuple(batch.columns)))
    if style.by_name:
        given = _as_turns(batch) if style.turns else batch.given()
        wanted = given if style.everything else style.wanted
        found = function(**{name: given[name] for name in wanted if name in given})
    else:
        found = function(*batch[: len(ARGUMENTS)])
    return as_opinions(_to_its_end(found) if inspect.isawaitable(found) else found)


def as_opinions(found: Any) -> Opinions:
    """What a reward returned: float64, or a list with None where it has no opinion.

    Raises:
        TypeError: for complex numbers, whose imaginary part would be lost.
    """
    if isinstance(found, list | tuple) and any(value is None for value in found):
        return [None if value is None else float(value) for value in found]
    if found.is_complex() if isinstance(found, Tensor) else np.iscomplexobj(found):
        raise TypeError("it returned complex numbers: return real ones")
    return torch.as_tensor(found, dtype=torch.float64)


def _as_turns(batch: RewardBatch) -> dict[str, Any]:
    """Conversations and their completions as lists of turns, as TRL hands them over."""
    talks = [isinstance(prompt, Conversation) for prompt in batch.prompts]
    prompts = [p.messages() if isinstance(p, Conversation) else p for p in batch.prompts]
    completions = [
        [{"role": "assistant", "content": text}] if talk else text
        for text, talk in zip_longest(batch.completions, talks, fillvalue=False)
    ]
    return batch.given() | {"prompts": prompts, "completions": completions}


def _to_its_end(found: Awaitable[Any]) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # none is running: the usual case
        return asyncio.run(_awaited(found))
    with ThreadPoolExecutor(1) as thread:  # a notebook's loop cannot wait for another
        return thread.submit(asyncio.run, _awaited(found)).result()


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found

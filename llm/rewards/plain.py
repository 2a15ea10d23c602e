"""Three rewards for a chat model that was asked for no box: right, ends, thorough.

They conflict: who writes more is less often done within the limit, and one more number after the
answer makes it wrong.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from covlaw.llm.rewards.state import RewardState

WORDS = 25
"""At which a completion is as thorough as it can be."""

_NUMBER = re.compile(r"(?<![\w.])[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])[-−]?\d+(?:\.\d+)?")
_DIGITS = 40
"""Longer numbers are no answers, and costly to read."""


def right(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the last number in the text equals the reference: (N,) float64.

    Signs, decimals and commas between thousands are read; "3+4" holds 3 and 4, "x-4" the number 4
    and "2 -4" the number −4. A reference that is no number is never met.
    """
    del lengths, state
    pairs = zip(completions, references, strict=True)
    found = [(last_number(text), last_number(reference)) for text, reference in pairs]
    scores = [wanted is not None and given == wanted for given, wanted in found]
    return torch.tensor(scores, dtype=torch.float64)


def ends(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where a completion is shorter than it may be, so ended by itself: (N,) float64.

    One that ends with the last token it may have counts as cut off. Where no limit was told all
    end.
    """
    del completions, references
    limit = state.limit if state.limit > 0 else torch.tensor(float("inf"), dtype=torch.float64)
    return (lengths.double().cpu() < limit.cpu()).double()


def thorough(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """min(words, `WORDS`)/`WORDS`, words being what white space parts: (N,) float64."""
    del references, lengths, state
    shares = [min(len(text.split()), WORDS) / WORDS for text in completions]
    return torch.tensor(shares, dtype=torch.float64)


def last_number(text: str) -> Fraction | None:
    """The last number in a text, exactly; None without one."""
    found = _NUMBER.findall(text)
    if not found or len(found[-1]) > _DIGITS:
        return None
    return Fraction(found[-1].replace("−", "-").replace(",", ""))

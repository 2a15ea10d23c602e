"""Clarity: a boxed answer that is reached in visible steps."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.rewards.state import RewardState

MINIMUM_STEPS = 2

_EMPHASIS = r"[*_#>\s]{0,8}"
_LABEL = re.compile(
    rf"(?:(?:^|(?<=[.:;!?\n])){_EMPHASIS}|\b(?=step\s?\d{{1,3}}\s?:))step\s?#?(\d{{1,3}})\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^[ \t]{0,8}(?:\*\*|__)?(\d{1,3})[.)](?:\*\*|__)?(?=\s)", re.MULTILINE)
_HEADER = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]{0,8}[-*+•][ \t]", re.MULTILINE)
_CONTENT = re.compile(r"[^\W\d_]|\d ?[-+*/^=<>×÷·] ?\d|=")


def clarity(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 for a boxed answer with at least two real steps, else 0: (N,) float64."""
    del references, lengths, state
    return torch.tensor([is_clear(text) for text in completions], dtype=torch.float64)


def is_clear(text: str) -> bool:
    """Tell whether a completion has a boxed answer and at least `MINIMUM_STEPS` steps."""
    return last_boxed(text) is not None and count_steps(text) >= MINIMUM_STEPS


def count_steps(text: str) -> int:
    """Count the steps of the best structured reading of the text.

    Four readings: labels ("Step 1" at the start of a line or sentence, "step 1:" anywhere),
    numbered lines ("1." or "**1)**"), Markdown headers, bullets. Numbers must run 1, 2, 3, …; a
    step must say something before the next one begins (a letter, an equation or an operation
    between two numbers), so "1. 2.", "3.14 and 2.71" and "5 - 3 - 2" have none.
    """
    labels, numbered = (_ordered(marker, text) for marker in (_LABEL, _NUMBERED))
    headers, bullets = (_unordered(marker, text) for marker in (_HEADER, _BULLET))
    return max(labels, numbered, headers, bullets)


def _ordered(marker: re.Pattern[str], text: str) -> int:
    """Count 1, 2, 3, … with content up to the next marker."""
    found = list(marker.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    count = 0
    for match, end in zip(found, ends, strict=True):
        count += int(match[1]) == count + 1 and _says_something(text, match.end(), end)
    return count


def _unordered(marker: re.Pattern[str], text: str) -> int:
    """Count markers with content on their own line."""
    starts = [match.end() for match in marker.finditer(text)]
    return sum(_says_something(text, start, _line_end(text, start)) for start in starts)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _says_something(text: str, start: int, end: int) -> bool:
    return _CONTENT.search(text, start, end) is not None

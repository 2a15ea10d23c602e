"""Clarity: a boxed answer that is reached in visible steps."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.rewards.state import RewardState

MINIMUM_STEPS = 2

_EMPHASIS = r"[*_#>\s]*"
_LABEL = re.compile(rf"(?:^|(?<=[.:;!?\n]))[ \t]*{_EMPHASIS}step\s*#?(\d{{1,3}})\b", re.IGNORECASE)
_NUMBERED = re.compile(
    r"^[ \t]*(?:\*\*|__)?[ \t]*(\d{1,3})[ \t]*[.)](?:\*\*|__)?(?=\s)", re.MULTILINE
)
_HEADER = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*[-*+•][ \t]", re.MULTILINE)
_CONTENT = re.compile(r"[^\W\d_]|\d\s*[-+*/^=<>×÷·]\s*\d|=")


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

    Four readings: labels ("Step 1", at the start of a line or sentence), numbered lines ("1." or
    "**1)**"), Markdown headers, bullets. Numbers must run 1, 2, 3, …; a step must say something
    before the next one begins (a letter, an equation or an operation between two numbers), so
    "1. 2.", "3.14 and 2.71" and "5 - 3 - 2" have none.
    """
    ordered = (_LABEL, _NUMBERED)
    unordered = (_HEADER, _BULLET)
    return max(
        *(_count_ordered(pattern, text) for pattern in ordered),
        *(
            sum(_says_something(text, *span) for span in _bodies(pattern, text, line=True))
            for pattern in unordered
        ),
    )


def _count_ordered(marker: re.Pattern[str], text: str) -> int:
    count = 0
    numbers = [int(match[1]) for match in marker.finditer(text)]
    for number, span in zip(numbers, _bodies(marker, text, line=False), strict=True):
        count += number == count + 1 and _says_something(text, *span)
    return count


def _bodies(marker: re.Pattern[str], text: str, line: bool) -> list[tuple[int, int]]:
    """Spans from each marker to the next one, or to the end of its own line."""
    matches = list(marker.finditer(text))
    ends = [*[match.start() for match in matches], len(text)][1:]
    if line:
        ends = [min(end, _line_end(text, m.end())) for m, end in zip(matches, ends, strict=True)]
    return [(match.end(), end) for match, end in zip(matches, ends, strict=True)]


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _says_something(text: str, start: int, end: int) -> bool:
    return _CONTENT.search(text, start, end) is not None

r"""The rewards as the paper's public code computes them, defects included, to show their price.

Ours (`accuracy`, `conciseness`, `clarity`) are the defaults; docs/rewards.md lists what differs.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.state import RewardState

_MARKS = re.compile(r"step\s*\d+\s*[:.)]|(?<!\d)\d+[.)]|-\s", re.IGNORECASE)
_REMOVED = ("\\left", "\\right", "\\!", "\\$", "\\%", "%", "^{\\circ}", "^\\circ", "\n", " ")
_UNIT = re.compile(r"\\text\{ [^{}]*\}$")
_NAME = re.compile(r"^[A-Za-z]{1,2}=")
_SHORT_FRACTION = re.compile(r"\\frac(\w)(\w)")
_SLASH = re.compile(r"^(-?\d+)/(\d+)$")


def accuracy_reference(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the last boxed answer has the reference's spelling: (N,) float64.

    A string check alone: most answers that are equal but written otherwise count as wrong.
    """
    del lengths, state
    pairs = zip(completions, references, strict=True)
    right = [spelling(boxed) == spelling(r) for c, r in pairs for boxed in [_boxed(c)]]
    return torch.tensor(right, dtype=torch.float64)


def conciseness_reference(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the length is at most the mean over the whole run so far: (N,) float64.

    Before anything was seen everything scores 1; no answer is asked for, so the empty completion
    is perfect; and the mean never forgets, so that a policy that has become short stays "concise".
    """
    del completions, references
    if not state.seen > 0:
        return torch.ones(len(lengths), dtype=torch.float64)
    return (lengths.double().cpu() <= (state.total_length / state.seen).cpu()).double()


def clarity_reference(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 for a box and two things that look like step marks anywhere: (N,) float64.

    "3.14 and 2.71", "5 - 3 - 2" and "1. 2." have two; "Step 1" without punctuation, Markdown
    headers and bold numbers have none.
    """
    del references, lengths, state
    clear = ["\\boxed" in text and len(_MARKS.findall(text)) >= 2 for text in completions]
    return torch.tensor(clear, dtype=torch.float64)


def _boxed(text: str) -> str | None:
    """Content of the last box up to its closing brace; an unclosed one has none."""
    start = text.rfind("\\boxed{")
    depth = 0
    for position in range(max(start, 0) + len("\\boxed"), len(text)) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + len("\\boxed{") : position]
    return None


def spelling(answer: str | None) -> str | None:
    """Undo the few differences of spelling that the reference knows."""
    if answer is None:
        return None
    answer = _UNIT.sub("", answer).replace("tfrac", "frac").replace("dfrac", "frac")
    for part in _REMOVED:
        answer = answer.replace(part, "")
    answer = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", _NAME.sub("", answer))
    answer = re.sub(r"^\.", "0.", answer).replace("{.", "{0.")
    answer = "\\frac{1}{2}" if answer == "0.5" else answer
    return _SLASH.sub(r"\\frac{\1}{\2}", answer)

"""Rewards of one's own: nothing of covlaw is imported, a file anywhere will do.

    covlaw llm train --set 'rewards=["accuracy", "polite=examples/own_reward.py:polite"]'

docs/rewards.md says what the arguments are.
"""

import re

_WORD = re.compile(r"\w+")


def polite(completions, references, lengths, state):
    """1 where the answer is announced ("the answer is …"), else 0."""
    del references, lengths, state
    return [float("the answer is" in text) for text in completions]


def varied(completions, references, lengths, state):
    """Share of different words among all words; 0 for a text without words."""
    del references, lengths, state
    words = [_WORD.findall(text.lower()) for text in completions]
    return [len(set(row)) / max(len(row), 1) for row in words]


def near(completions, references, lengths, state):
    """1/(1 + distance) of the last number in the text to a numeric reference, else 0."""
    del lengths, state
    return [_nearness(text, wanted) for text, wanted in zip(completions, references, strict=True)]


def _nearness(text, wanted):
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    try:
        return 1 / (1 + abs(float(numbers[-1]) - float(wanted)))
    except (IndexError, ValueError):  # no number in the text, or a reference that is none
        return 0.0

"""What a task consists of."""

from typing import NamedTuple

SPLITS = ("train", "val", "test")


class Problem(NamedTuple):
    """One question with its known answer.

    Attributes:
        prompt: The question as text; a chat template, where the model has one, is not applied yet.
        reference: The answer as it would stand inside a box.
    """

    prompt: str
    reference: str

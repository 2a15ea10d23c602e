"""MATH-500 in the paper's layout: train, val and test.parquet (300/100/100 problems)."""

from collections.abc import Mapping
from typing import Any

from covlaw.llm.tasks import columns
from covlaw.llm.tasks.problem import Problem

LAYOUT = {"prompt": "prompt", "answer": "reward_model.ground_truth"}


def load(split: str, path: str | None, options: Mapping[str, Any]) -> list[Problem]:
    """MATH-500 from Parquet files with the paper's columns.

    Args:
        split: train, val or test.
        path: A folder holding ``<split>.parquet``, or the id of a data set on the Hugging Face hub
            with such a file. Columns read: `prompt`, a list of chat turns (content, role) that ends
            with the paper's instruction, and `reward_model`, whose field `ground_truth` is the
            reference answer.
        options: Fields of `columns.Columns` that differ.

    Raises:
        CovlawError: without a path, for a missing or unreadable file, an unreachable hub, or a
            file with other columns.
    """
    return columns.load("parquet", split, path, {**LAYOUT, **options})

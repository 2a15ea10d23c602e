"""Completions of a few groups, read when a page shows them: a log keeps no texts."""

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

import numpy as np

from covlaw.plugins.logs.collect import prompt_key
from covlaw.plugins.logs.columns import NESTED, TEXT, Asked, find_columns
from covlaw.plugins.logs.formats.table import Block
from covlaw.plugins.logs.read import tables

Group = tuple[int, Hashable]
"""Step, and the prompt as `Log.labels` has it."""


class Text(NamedTuple):
    """One completion."""

    completion: str
    rewards: dict[str, float | None]
    """None: no opinion."""
    advantage: float | None
    """None: not logged."""


def read_texts(paths: Any, wanted: Collection[Group], asked: Asked) -> dict[Group, list[Text]]:
    """Read the completions of some groups; nothing where the log has no texts.

    Args:
        paths: As `read_log` got them.
        wanted: The groups.
        asked: What the user said of the columns.
    """
    found: dict[Group, list[Text]] = {group: [] for group in wanted}
    for table in tables(paths):
        text = next((name for name in TEXT if name in table.head), None)
        if text is None:
            continue
        columns = find_columns(table, asked)._replace(length=None)
        for block in table.blocks((*columns.wanted, text)):
            size = len(block[text])
            steps = [0] * size if columns.step is None else block[columns.step]
            for row in range(size):
                group = (int(steps[row]), prompt_key(block[columns.group][row]))
                if group in found:
                    advantage = _number(block, columns.advantage, row)
                    rewards = _rewards(block, columns.rewards, columns.nested, row)
                    found[group].append(Text(_plain(block[text][row]), rewards, advantage))
    return {group: texts for group, texts in found.items() if texts}


def _rewards(
    block: Block, names: tuple[str, ...], nested: bool, row: int
) -> dict[str, float | None]:
    if nested:
        return {n: block[NESTED][row].get(n) for n in names}
    return {n: _number(block, n, row) for n in names}


def _number(block: Block, name: str | None, row: int) -> float | None:
    value = None if name is None or name not in block else block[name][row]
    if isinstance(value, list | tuple):  # one a token
        value = sum(value) / len(value) if value else None
    return None if value is None or np.isnan(value) else float(value)


def _plain(value: Any) -> str:
    """A text, or the contents of a conversation."""
    if isinstance(value, list | tuple | np.ndarray):
        return "\n".join(_plain(v.get("content") if isinstance(v, dict) else v) for v in value)
    return "" if value is None else str(value)

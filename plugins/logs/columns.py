"""Which column is what: by the names that each tool writes, else by common names and by type."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from covlaw.plugins.logs.formats.parquet import LENGTH
from covlaw.plugins.logs.formats.table import Block, Table
from covlaw.theory._numerics.errors import CovlawError, unknown

STEP = ("step", "global_step", "training_step", "train_step", "iteration", "iter")
GROUP = (
    *("group", "group_id", "uid", "prompt_id", "problem_id", "question_id"),
    *("prompt", "prompts", "input", "inputs", "question", "problem", "query", "instruction"),
    *("messages", "context"),
)
ADVANTAGE = ("advantage", "advantages")
LENGTHS = (
    *("length", "completion_length", "response_length", "num_tokens", "completion_tokens"),
    *("response_tokens", "n_tokens", "tokens"),
)
TEXT = ("completion", "completions", "output", "response", "generation", "text")
TOTAL = ("score", "reward", "total_reward", "reward_total", "total", "return", "reward_sum")
NO_REWARD = {
    *("index", "idx", "id", "row", "rank", "seed", "epoch", "batch", "sample", "sample_id"),
    *("rollout", "rollout_id", "generation_id", "completion_id", "timestamp", "time"),
    *("temperature", "top_p", "num_turns", "turns", "log_prob", "logprob", "log_probs", "kl"),
    *("entropy", "loss", "target", "label", "answer", "gts", "ground_truth", "request_id"),
    *("prompt_length", "prompt_tokens", "mode", "level", "position", "reward_std", "weight"),
    *("__index_level_0__", "unnamed: 0", "", "param_version", "data_source"),
}
"""Numbers that are no reward, whoever wrote them; lower case."""
VERL_ADVICE = (
    "this log of verl has the total score alone: return a dict {'score': …, 'accuracy': …, "
    "'format': …} from the reward function and the reward manager puts its entries beside the "
    "score (the older trainer does; the default one with trainer.v1.trainer_mode=covlaw, or in "
    "versions with that fix)"
)


class Columns(NamedTuple):
    """The columns that are read, and what each is."""

    format: str
    step: str | None
    group: str
    rewards: tuple[str, ...]
    nested: bool
    """Whether `rewards` are keys of one column of dicts, `rewards`."""
    advantage: str | None
    length: str | None
    notes: tuple[str, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names to read."""
        one = (self.step, self.group, self.advantage, self.length)
        rewards = (NESTED,) if self.nested else self.rewards
        return tuple(dict.fromkeys(n for n in (*one, *rewards) if n is not None))


NESTED = "rewards"


class Asked(NamedTuple):
    """What the user says of the columns."""

    format: str = "auto"
    rewards: tuple[str, ...] = ()
    group: str | None = None
    step: str | None = None
    advantage: str | None = None


FORMATS = ("auto", "trl", "verl", "covlaw", "table")


def find_columns(table: Table, asked: Asked) -> Columns:
    """Tell the columns of a table apart.

    Raises:
        CovlawError: for an unknown format or column, and where prompts or rewards are not found.
    """
    if asked.format not in FORMATS:
        raise unknown("format", asked.format, FORMATS)
    head = table.head
    for name in (*asked.rewards, asked.group, asked.step, asked.advantage):
        if name is not None and name not in head and not _nested(head):
            raise unknown(f"column of {table.place}", name, tuple(head))
    kind = asked.format if asked.format != "auto" else _format(table)
    notes: list[str] = []
    step = asked.step or _first(head, STEP, _counted)
    if step is None:
        notes.append("the log has no column step: all rows are taken as one step")
    group = asked.group or _first(head, GROUP, _of_prompts)
    if group is None:
        raise CovlawError(
            f"{table.place} has no column that says which prompt a row answers (of "
            f"{', '.join(head)}): name it with group (--group)"
        )
    advantage = asked.advantage or _first(head, ADVANTAGE, _any_number)
    length = _first(head, LENGTHS, _numeric)
    text = _first(head, TEXT)
    if length is None and text is not None:
        length = text + LENGTH
    taken = {step, group, advantage, length, *LENGTHS, *ADVANTAGE, *STEP}
    nested = not asked.rewards and _nested(head)
    rewards = asked.rewards or _rewards(table, kind, {str(n) for n in taken}, notes)
    return Columns(kind, step, group, rewards, nested, advantage, length, tuple(notes))


def _format(table: Table) -> str:
    names = set(table.head)
    if table.kind == "covlaw":
        return "covlaw"
    if {"step", "prompt", "completion", "advantage"} <= names:
        return "trl"
    if {"input", "output", "score"} <= names:
        return "verl"
    return "table"


def _rewards(table: Table, kind: str, taken: set[str], notes: list[str]) -> tuple[str, ...]:
    head = table.head
    if _nested(head):
        rows = [row for row in head[NESTED] if isinstance(row, dict)]
        return tuple(dict.fromkeys(str(key) for row in rows for key in row))
    numbers = [
        n for n in head if n not in taken and n.lower() not in NO_REWARD and _numeric(head, n)
    ]
    parts = [n for n in numbers if n.lower() not in TOTAL]
    if kind not in {"trl", "verl", "covlaw"}:
        named = [n for n in parts if "reward" in re.split(r"[^a-z]+", n.lower())]
        parts = named or parts
    if kind == "verl" and not parts and "score" in head:
        notes.append(VERL_ADVICE)
    found = tuple(parts or [n for n in numbers if n.lower() in TOTAL])
    other = {*taken, *GROUP, *TEXT}
    spoiled = [s for n in head if n not in other and (s := _spoiled(n, head[n]))]
    if not found:
        raise CovlawError(
            f"{table.place} has no column of numbers that could be a reward (of {', '.join(head)}"
            f"{''.join('; ' + s for s in spoiled)}): name them with rewards (--rewards)"
        )
    notes += [f"{s}: the column is taken for no reward" for s in spoiled]
    left = [n for n in numbers if n not in found]
    if left:
        notes.append(f"columns of numbers taken for no reward: {', '.join(left)}")
    return found


def _spoiled(name: str, values: Sequence[Any]) -> str:
    """What keeps a column, of which half or more are numbers, from being one of numbers."""
    if isinstance(values, np.ndarray) or name.lower() in NO_REWARD:
        return ""
    known = [(row, v) for row, v in enumerate(values, 1) if v is not None and v != ""]
    bad = [(row, v) for row, v in known if not reads_as_number(v)]
    if not bad or 2 * len(bad) > len(known):
        return ""
    return f"row {bad[0][0]} of {name!r} is {ascii(bad[0][1])[:40]}, which is no number"


def reads_as_number(value: Any) -> bool:
    """Whether a value is a number, or a text of one."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
    return isinstance(value, str | int | float | np.number | np.bool_)


def _nested(head: Block) -> bool:
    values = head.get(NESTED, ())
    return len(values) > 0 and isinstance(values[0], dict)


def _first(head: Block, names: Sequence[str], test: Any = None) -> str | None:
    by_lower = {name.lower(): name for name in head}
    for name in names:
        found = by_lower.get(name)
        if found is not None and (test is None or test(head, found)):
            return found
    return None


def _of_prompts(head: Block, name: str) -> bool:
    """Not verl's keys, which end in the number of the completion and of its turn."""
    return name != "uid" or not all(re.search(r"_\d+_\d+$", str(v)) for v in head[name])


def _numeric(head: Block, name: str) -> bool:
    """Whether a column holds numbers, truths or nothing, and at least one that is there."""
    values = head[name]
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "iufb"
    known = [v for v in values if v is not None]
    return bool(known) and all(isinstance(v, int | float | np.number | np.bool_) for v in known)


def _counted(head: Block, name: str) -> bool:
    """As `_numeric`; or whole numbers written as texts."""
    return _numeric(head, name) or all(isinstance(v, str) and v.isdigit() for v in head[name])


def _any_number(head: Block, name: str) -> bool:
    """As `_numeric`; or lists of numbers, one a token."""
    values = head[name]
    return _numeric(head, name) or (len(values) > 0 and isinstance(values[0], list))

"""How a run names its rewards: "name", "module:function", "file.py:function", "shown=…"."""

from collections.abc import Sequence

from covlaw.theory._numerics.plugins import Spec, parse


def parse_reward(entry: str) -> Spec:
    """Read "target" or "name=target"; without a name the target is the name.

    Raises:
        CovlawError: where either side of the sign is empty.
    """
    return parse("reward", entry)


def reward_names(entries: Sequence[str]) -> tuple[str, ...]:
    """List the objectives' names of a run's `rewards`."""
    return tuple(parse_reward(entry).name for entry in entries)

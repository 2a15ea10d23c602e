"""Settings on the command line: `--set KEY=VALUE`, as often as wished, in any order."""

import tomllib
from importlib.util import find_spec
from typing import Any

from covlaw.theory._numerics.errors import CovlawError

SET = "--set"


def spread_settings(arguments: list[str]) -> list[str]:
    """Give each KEY=VALUE after one `--set` a `--set` of its own: all of them accumulate."""
    spread: list[str] = []
    after_set = False
    for argument in arguments:
        if argument.startswith("--"):
            after_set = argument == SET
        elif after_set and spread[-1] != SET:
            spread.append(SET)
        spread.append(argument)
    return spread


def read_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read KEY=VALUE pairs, values as TOML or else as text; the last one of a key counts.

    Raises:
        CovlawError: for a pair without a sign or a key.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise CovlawError(f"setting {pair!r}: write KEY=VALUE, e.g. steps=100")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value  # plain text needs no quotes
    return settings


def require_llm() -> None:
    """Refuse where transformers is not installed."""
    if find_spec("transformers") is None:
        raise CovlawError("this command needs transformers: pip install 'covlaw[llm]'")

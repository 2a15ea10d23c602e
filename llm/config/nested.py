"""Tables within tables; apart, since presets are listed without loading torch."""

from collections.abc import Mapping
from typing import Any

from covlaw.llm.config.algorithms import reopened


def deep_merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Override settings, tables entry by entry."""
    result = reopened(values, overrides)
    for name, value in overrides.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = deep_merged(result[name], value) if both else value
    return result

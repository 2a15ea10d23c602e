"""Records of a measurement, one JSON object a line, taken apart by their fields."""

from typing import Any

Records = list[dict[str, Any]]


def of_kind(records: Records, kind: str, **fields: Any) -> Records:
    """Those of a measurement's records that are of one kind and have the given fields.

    Kinds have different fields: a record that lacks one is none of those.
    """
    wanted = {"kind": kind} | fields
    return [r for r in records if wanted.items() <= {k: r.get(k) for k in wanted}.items()]


def having(records: Records, **fields: Any) -> Records:
    """Those that have the given values in fields that all of them have, in their order.

    Raises:
        KeyError: if a record lacks a field.
    """
    return [r for r in records if all(r[name] == value for name, value in fields.items())]


def distinct(records: Records, field: str) -> list[Any]:
    """Values of a field, each once, in the order of the record.

    Raises:
        KeyError: if a record lacks the field.
    """
    return list(dict.fromkeys(r[field] for r in records))

"""Docstrings are plain text with formulas: keep t*, r_j and x < y from being Markdown."""

import re
from typing import Any

import griffe

_KEPT = re.compile(r"(`[^`]*`|^\s+\w+:)", re.MULTILINE)
"""Code, and the names of arguments."""
_SPECIAL = re.compile(r"(?<!\\)([*_<|\[\]])")


class PlainDocstrings(griffe.Extension):
    """Escapes what Markdown would read as markup, outside code."""

    def on_instance(self, *, obj: griffe.Object | griffe.Alias, **_: Any) -> None:
        """Rewrite one docstring, once."""
        if not obj.is_alias and obj.docstring is not None:
            obj.docstring.value = escaped(obj.docstring.value)


def escaped(text: str) -> str:
    r"""Put a backslash before markup: 't* < r_j' becomes 't\* \< r\_j'."""
    parts = _KEPT.split(text)
    return "".join(p if k % 2 else _SPECIAL.sub(r"\\\1", p) for k, p in enumerate(parts))

r"""Where the answer is: the content of the last ``\boxed{...}``."""

import re

_OPENING = re.compile(r"\\boxed\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last outermost box, without surrounding spaces.

    Braces nest; ``\{`` and ``\}`` are characters, not braces. A box that is never closed swallows
    the rest of the text: the completion was cut off in its answer, so it has none. One pass.

    Returns:
        The content; None without a box, with an unclosed last box, or with an empty one.
    """
    content, start = None, 0
    while opening := _OPENING.search(text, start):
        end = _closing(text, opening.end())
        if end is None:
            return None
        content, start = text[opening.end() : end].strip(), end + 1
    return content or None


def _closing(text: str, start: int) -> int | None:
    """Find the brace that closes the one before `start`."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
    return None

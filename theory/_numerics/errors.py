"""The one exception a user's mistake raises."""

import difflib


class CovlawError(ValueError):
    """Bad input: the message names the culprit and the remedy.

    The command line prints the message without a traceback and exits with 2.
    """


LONGEST_NAME = 80
"""Characters of a name in a message."""


def unknown(what: str, name: str, known: tuple[str, ...]) -> CovlawError:
    """Build the error for an unknown name, with the near matches."""
    known = tuple(dict.fromkeys(known))
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}…"
    lowered = {candidate.lower(): candidate for candidate in known}
    near = [lowered[c] for c in difflib.get_close_matches(name.lower(), lowered, 3, 0.5)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return CovlawError(f"unknown {what} {name!r}: {hint}choose from {', '.join(known)}")

"""The one exception a user's mistake raises."""

import difflib


class CovlawError(ValueError):
    """Bad input: the message names the culprit and the remedy.

    The command line prints the message without a traceback and exits with 2.
    """


LONGEST_NAME = 80
"""Characters of a name in a message."""
MANY, NEAREST = 24, 3
"""Of more known names than that, only the nearest are said."""


def unknown(what: str, name: str, known: tuple[str, ...], listed: str = "") -> CovlawError:
    """Build the error for an unknown name, with the near matches.

    Args:
        what: Kind of the name, e.g. "setting".
        name: As it was given.
        known: All that would do.
        listed: Where all of them can be read, where they are too many for a line.
    """
    known = tuple(dict.fromkeys(known))
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}…"
    lowered = {candidate.lower(): candidate for candidate in known}
    near = _near(name.lower(), lowered, 0.5)
    if len(known) <= MANY:
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return CovlawError(f"unknown {what} {name!r}: {hint}choose from {', '.join(known)}")
    nearest = near or _near(name.lower(), lowered, 0.0)
    where = f"{len(known)} are known" + (f"; {listed} lists them" if listed else "")
    return CovlawError(f"unknown {what} {name!r}: did you mean {' or '.join(nearest)}? ({where})")


def _near(name: str, lowered: dict[str, str], cutoff: float) -> list[str]:
    found = difflib.get_close_matches(name, lowered, NEAREST, cutoff)
    return [lowered[candidate] for candidate in found]

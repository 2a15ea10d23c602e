"""Foreign texts as people are shown them, on a page and on the terminal: nothing hidden, no end."""

import logging
import sys
import unicodedata

from covlaw.ladder.exit_codes import BAD_USAGE

JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need."""
NAME = 100
"""Characters of a name in a table."""
MESSAGE = 2000
"""Characters of an error, or of a line on the terminal."""


def spelled(text: str) -> str:
    """A text whose invisible characters are named, so that none can reorder or hide what is read.

    Control and format characters (Unicode's Cc and Cf: ESC and bidirectional overrides among them)
    become ⟨U+202E⟩; line breaks, tabs and joiners stay.
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def shortened(text: str, length: int) -> str:
    """A text of at most `length` characters: beyond that its middle is left out, and counted.

    What is wrong stands at an error's beginning, what to do about it at its end.
    """
    if len(text) <= length:
        return text
    room = length - 30  # what says how much is left out is shorter
    head = room * 2 // 3
    tail = room - head
    return f"{text[:head]} …{len(text) - head - tail} characters… {text[len(text) - tail :]}"


def complain(message: str, code: int = BAD_USAGE) -> int:
    """Say what is wrong on stderr, spelled out and cut; returns the exit code."""
    print(f"covlaw: {shortened(spelled(message), MESSAGE)}", file=sys.stderr)
    return code


class PlainFormatter(logging.Formatter):
    """Warnings as the terminal shows them."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, spelled out and cut."""
        return shortened(spelled(super().format(record)), MESSAGE)


def _spelled(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs")
    if hidden and character not in "\n\t" + JOINERS:
        return f"⟨U+{ord(character):04X}⟩"
    return character

"""Pages that remember which of their words a test compared with a record."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = re.compile(r"<!-- (\w+)(?:: \S+)? -->\n.*?<!-- (?:/|end of )\1 -->", re.DOTALL)
"""What a tool writes from records; tests compare it whole."""
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
"""Commands, and code that runs as printed."""
HIDDEN = re.compile(r"\]\([^)]*\)|`[^`]*`|\$\$.+?\$\$|\$[^$]+\$")
"""Targets of links, code, formulas: statements' tests check these."""
ASKED: set[str] = set()
"""Whatever was found in any page."""
NUMBER = re.compile(r"(?<![\w.])[−-]?(?:\d[\d,]*\d|\d)?(?:\.\d+|(?<=\d))(?!\w)")


class Said(str):
    """The prose of pages, white space joined; what `in` finds there is remembered."""

    __slots__ = ()

    def __new__(cls, *pages: str) -> "Said":
        """Read pages below the root."""
        prose = (MADE.sub("", FENCED.sub("", (ROOT / p).read_text("utf-8"))) for p in pages)
        return super().__new__(cls, " ".join(" ".join(prose).split()))

    def __contains__(self, said: object) -> bool:
        """Whether it is said."""
        found = str.__contains__(self, str(said))
        if found:
            ASKED.add(str(said))
        return found

    def places(self, said: str) -> set[int]:
        """Places of every character of what is said."""
        starts = (match.start() for match in re.finditer(re.escape(said), self))
        return {at for start in starts for at in range(start, start + len(said))}

    def numbers(self) -> Iterator[tuple[int, str]]:
        """Each number with its place; links' targets, code and formulas have none."""
        hidden = HIDDEN.sub(lambda match: " " * len(match[0]), self)
        for match in NUMBER.finditer(hidden):
            yield match.start(), match[0]

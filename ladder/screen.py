"""The terminal that every command prints to."""

from collections.abc import Iterable

import rich.console
from rich.segment import Segment

from covlaw.ladder.plain_text import MESSAGE, shortened, spelled


class Console(rich.console.Console):
    """Rich's console; names, prompts and texts of records cannot steer the terminal through it.

    What is styled is styled by us: an escape sequence within a text is shown, not obeyed, and a
    text without end is cut.
    """

    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """Render, the hidden characters of every text spelled out."""
        for segment in super().render(renderable, options):
            if not segment.control:
                text = spelled(segment.text)
                if not text.isspace():  # padding may be as wide as a file
                    text = shortened(text, MESSAGE)
                segment = segment._replace(text=text)
            yield segment

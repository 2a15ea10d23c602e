"""A page's tags, for tests of what a report holds."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)

    def dead_links(self) -> list[str]:
        """Targets within the page, and in drawings, that are not there."""
        ids = {attributes.get("id") for _, attributes in self.tags}
        links = (a.get(name) for _, a in self.tags for name in ("href", "xlink:href", "src"))
        own = [link for link in links if link is not None]
        named = [n for _, a in self.tags for n in (a.get("aria-labelledby") or "").split()]
        dead = [link for link in own if link.startswith("#") and link[1:] not in ids]
        return dead + [name for name in named if name not in ids]

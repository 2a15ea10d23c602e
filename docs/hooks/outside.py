"""Pages link files outside docs/ as a forge expects; on the site those files become pages too.

A link from docs/tutorial.md to ../theory/rollouts.py opens the file on any forge. Here the file
is added as source/theory/rollouts.py.md, and README, CONTRIBUTING and CHANGELOG as project/*.md.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=[)\s])")
_LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".cff": "yaml", ".json": "json"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the project's own pages, and every file that a page links outside docs/."""
    for name in PROJECT:
        files.append(_page(config, f"project/{name}", (ROOT / name).read_text(encoding="utf-8")))
    pages = [f for f in files.documentation_pages() if f.content_string]
    for page in pages:
        for link in _LINK.finditer(page.content_string):
            target = _target(page.src_uri, link["path"])
            uri = _uri(target) if target else None
            if uri and files.get_file_from_path(uri) is None:
                files.append(_file(config, uri, ROOT / str(target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point the links that leave docs/ to the pages that stand for those files."""

    def moved(link: re.Match[str]) -> str:
        target = _target(page.file.src_uri, link["path"])
        uri = _uri(target) if target else None
        if uri is None:
            return link[0]
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri)) + (link["anchor"] or "")

    return _LINK.sub(moved, markdown)


def _target(page: str, link: str) -> str | None:
    """Path below the repository's root of what a page links, or None for no file of ours."""
    name = page.removeprefix("project/")
    folder = "" if name in PROJECT else posixpath.join("docs", posixpath.dirname(page))
    path = posixpath.normpath(posixpath.join(folder, link))
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _uri(target: str) -> str | None:
    """Where a file stands on the site."""
    if target in PROJECT:
        return f"project/{target}"
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    path = ROOT / target
    picture = path.suffix in {".png", ".svg"}
    return f"source/{target}" if picture else f"source/{target}.md"


def _file(config: MkDocsConfig, uri: str, path: Path) -> File:
    if path.suffix in {".png", ".svg"}:
        return File.generated(config, uri, abs_src_path=str(path))
    return _page(config, uri, _listing(path))


def _page(config: MkDocsConfig, uri: str, text: str) -> File:
    return File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV)


def _listing(path: Path) -> str:
    """Show a file, or what a folder holds, out of the search index."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        body = "\n".join(sorted(p.name + "/" * p.is_dir() for p in path.iterdir()))
        language = "text"
    else:
        body, language = path.read_text(encoding="utf-8"), _LANGUAGES.get(path.suffix, "text")
    head = f"---\ntitle: {name}\nsearch:\n  exclude: true\nhide: [toc]\n---\n# `{name}`"
    return f"{head}\n\n````{language}\n{body}\n````\n"

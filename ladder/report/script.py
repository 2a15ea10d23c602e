"""A page's one script, and the hash that is all its security policy lets run."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

from markupsafe import Markup

TEMPLATES = files("covlaw.ladder") / "templates"


def script(name: str = "verdicts.js") -> dict[str, Any]:
    """Return the script and the source that a content security policy names it by."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    digest = b64encode(sha256(text.encode()).digest()).decode()
    source = Markup(f"'sha256-{digest}'")  # noqa: S704 - base64 of our own file
    return {"script": Markup(text), "script_source": source}  # noqa: S704


def style() -> Markup:
    """The page's style sheet."""
    return Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own

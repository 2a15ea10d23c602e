"""Where a statement's source stands: a link to the recorded version where the project has a URL."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

PAGES = ("repository", "source", "source code")
"""Labels of project URLs under which the files can be read."""


def source_url(path: str, version: str, repository: str) -> str:
    """URL of a file of the repository at a version; "" where the project has no URL."""
    return f"{repository.rstrip('/')}/blob/v{version}/{path}" if repository else ""


@cache
def repository() -> str:
    """URL of the repository, as the package's metadata names it; "" where it names none."""
    try:
        entries = metadata("covlaw").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(entry.split(", ", 1) for entry in entries if ", " in entry)
    labels = {label.lower(): url for label, url in named.items()}
    return next((labels[page] for page in PAGES if page in labels), "")

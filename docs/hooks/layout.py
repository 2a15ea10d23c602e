"""The reference reads the package as it is imported: each area is `covlaw.<area>`."""

import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def on_startup(**_: Any) -> None:
    """Lay the package out where mkdocs.yml lets the reference look, before it looks."""
    runpy.run_path(str(ROOT / "tools" / "typed.py"))["link_tree"](ROOT / "build" / "reference")

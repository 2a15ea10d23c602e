"""Run mypy on the package as it is imported: `python tools/typed.py [mypy's arguments]`.

The areas stand at the top level and are imported as `covlaw.<area>`, which a type checker cannot
know. `build/typed/covlaw` holds a link to each (a copy where links cannot be made); point an
editor's search path there (pyright: `extraPaths`, in pyproject.toml).
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TYPED = ROOT / "build" / "typed"


def link_tree(target: Path = TYPED) -> Path:
    """Lay the package out as it is imported, anew; return the folder that holds it."""
    shutil.rmtree(target, ignore_errors=True)
    package = target / "covlaw"
    package.mkdir(parents=True)
    for file in (ROOT / "src" / "covlaw").iterdir():
        _stand_in(file, package / file.name)
    for area in areas():
        _stand_in(ROOT / area, package / area)
    return target


def areas() -> list[str]:
    """Folders at the top level that are part of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["tool"]["covlaw"]["areas"])


def _stand_in(source: Path, place: Path) -> None:
    try:
        place.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy)(source, place)


if __name__ == "__main__":
    link_tree()
    command = [sys.executable, "-m", "mypy", *sys.argv[1:]]
    sys.exit(subprocess.call(command, cwd=ROOT))  # noqa: S603

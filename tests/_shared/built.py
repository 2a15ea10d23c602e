"""What setuptools makes of the source: the distributions, and the files that they should hold."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from setuptools import build_meta
build_meta.build_{kind}(sys.argv[1])
"""


class Built(NamedTuple):
    """The two distributions of one source tree, and what was printed as they were made."""

    sdist: Path
    wheel: Path
    printed: str


def source_files() -> list[str]:
    """Files of the repository: Git's, or those that the source distribution we are in lists."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    else:
        listed = (ROOT / "covlaw.egg-info" / "SOURCES.txt").read_text(encoding="utf-8")
    files = [name for name in listed.splitlines() if not name.startswith("covlaw.egg-info/")]
    return sorted(name for name in files if name != "setup.cfg" and (ROOT / name).is_file())


def copy_source(target: Path) -> Path:
    """A clean copy of the source, without what builds and tests leave behind."""
    for name in source_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    return target


def build(source: Path, out: Path) -> Built:
    """Build both distributions as pip does, with the setuptools that is installed."""
    out.mkdir(parents=True)
    printed = "".join(_build(kind, source, out) for kind in ("sdist", "wheel"))
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel, printed)


def _build(kind: str, source: Path, out: Path) -> str:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-W", "always", "-c", BUILD.format(kind=kind), str(out)],
        cwd=source,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout


def clean_environment() -> dict[str, str]:
    """The environment variables without those that show Python this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def members(wheel: Path) -> dict[str, bytes]:
    """Name → bytes of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack a source distribution; return its one folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    [folder] = target.iterdir()
    return folder

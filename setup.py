"""What pyproject.toml can't say: the packages, and that caches are no part of the source.

A package is every folder with modules below the areas at the top level, as `covlaw.<folder>`. In a
checkout `src/covlaw/__init__.py` finds the areas itself; a wheel holds them side by side.
"""

import tomllib
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

PROJECT = Path(__file__).with_name("pyproject.toml")
AREAS = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["covlaw"]["areas"]


class Source(sdist):
    """MANIFEST.in takes whole folders; to exclude caches there warns where there are none."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy or link the files, without caches."""
        super().make_release_tree(base_dir, [f for f in files if "__pycache__" not in f])


inner = [f"{area}.{package}" for area in AREAS for package in find_packages(area)]
setup(
    packages=["covlaw", *(f"covlaw.{package}" for package in (*AREAS, *inner))],
    package_dir={"covlaw": "src/covlaw", **{f"covlaw.{area}": area for area in AREAS}},
    cmdclass={"sdist": Source},
)

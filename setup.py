"""The packages: every folder with modules below the areas at the top level, as `covlaw.<folder>`.

In a checkout `src/covlaw/__init__.py` finds the areas itself; a wheel holds them side by side.
"""

import tomllib
from pathlib import Path

from setuptools import find_packages, setup

PROJECT = Path(__file__).with_name("pyproject.toml")
AREAS = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["covlaw"]["areas"]

inner = [f"{area}.{package}" for area in AREAS for package in find_packages(area)]
setup(
    packages=["covlaw", *(f"covlaw.{package}" for package in (*AREAS, *inner))],
    package_dir={"covlaw": "src/covlaw", **{f"covlaw.{area}": area for area in AREAS}},
)

"""The wheel holds what the repository holds: packages, data files, links, entry points."""

import importlib
import re
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import covlaw

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
AREAS = ("theory", "toys", "llm", "ladder", "figures")
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]


def folders_with_modules() -> set[str]:
    found = {"covlaw"}
    for area in AREAS:
        for init in (ROOT / area).rglob("__init__.py"):
            found.add(".".join(("covlaw", *init.parent.relative_to(ROOT).parts)))
    return found


def test_declared_packages_are_the_folder_tree() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(folders_with_modules())


def test_every_folder_with_modules_is_a_package() -> None:
    bare = {
        str(file.parent.relative_to(ROOT))
        for area in AREAS
        for file in (ROOT / area).rglob("*.py")
        if not (file.parent / "__init__.py").exists()
    }
    assert bare == set()


def test_every_data_file_is_declared() -> None:
    declared = {
        file
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for file in (ROOT / "src" / Path(*package.split("."))).glob(pattern)
    }
    assert (ROOT / "src/covlaw/py.typed") in declared
    tracked_as_data = {
        file
        for area in AREAS
        for file in (ROOT / "src/covlaw" / area).rglob("*")
        if file.suffix in {".toml", ".jinja", ".css", ".js"}
    }
    assert tracked_as_data <= declared


@pytest.mark.parametrize("area", AREAS)
def test_namespace_is_a_link_to_the_folder(area: str) -> None:
    link = ROOT / "src/covlaw" / area
    assert link.is_symlink()
    assert link.resolve() == ROOT / area
    module = importlib.import_module(f"covlaw.{area}")
    assert Path(str(module.__file__)).resolve() == ROOT / area / "__init__.py"


def test_installed_metadata_is_this_checkout() -> None:
    assert version("covlaw") == covlaw.__version__
    scripts = {e.name: e.value for e in entry_points(group="console_scripts")}
    assert scripts["covlaw"] == PYPROJECT["project"]["scripts"]["covlaw"]
    declared = PYPROJECT["project"]["entry-points"]["covlaw.rungs"]
    assert {e.name: e.value for e in entry_points(group="covlaw.rungs")} == declared


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", pin) for pin in pinned)
    return {normalised(name): pin for name, pin in (pin.split("==") for pin in pinned)}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared_requirements() -> list[tuple[str, str]]:
    """`(name, lower bound)` of every dependency but the CUDA-only extra and ourselves."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [
        line for extra, lines in extras.items() if extra != "vllm" for line in lines
    ]
    shape = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?>=([0-9.]+)")
    split = [shape.fullmatch(line) for line in lines if "covlaw[" not in line]
    assert all(split)
    return [(normalised(m[1]), m[2]) for m in split if m]


@pytest.mark.parametrize(("name", "bound"), declared_requirements())
def test_every_dependency_is_pinned_within_its_bound(name: str, bound: str) -> None:
    installed, lowest = pins("constraints.txt"), pins("requirements/lower-bounds.txt")
    assert _release(installed[name]) >= _release(bound)
    assert (installed | lowest)[name] == bound, "a bound is a version that the tests have run with"


def test_nothing_is_lowered_that_is_not_required() -> None:
    assert set(pins("requirements/lower-bounds.txt")) <= {
        name for name, _ in declared_requirements()
    }


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))

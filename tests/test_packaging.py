"""What is declared: packages, data files, entry points, versions; no link in the repository.

`tests/test_built_distributions.py` builds and installs.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from built import ROOT, source_files

import covlaw

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
AREAS: list[str] = PYPROJECT["tool"]["covlaw"]["areas"]


def test_no_file_is_a_link() -> None:
    """Where Git makes no links (`core.symlinks=false`) such a file holds its target's name."""
    assert [name for name in source_files() if (ROOT / name).is_symlink()] == []


def test_every_folder_with_modules_is_a_package() -> None:
    bare = {
        str(file.parent.relative_to(ROOT))
        for area in AREAS
        for file in (ROOT / area).rglob("*.py")
        if not (file.parent / "__init__.py").exists()
    }
    assert bare == set()


@pytest.mark.parametrize("area", AREAS)
def test_an_area_is_the_folder_at_the_top_level(area: str) -> None:
    report = f"import covlaw.{area} as area; print(area.__file__)"
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", report],
        cwd=ROOT.anchor,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(result.stdout.strip()) == ROOT / area / "__init__.py"


def test_the_plain_import_needs_the_standard_library_only() -> None:
    """As `make gpu` does with a Python of its own: no installation, `src` on the path."""
    result = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]); import covlaw; print(covlaw.__version__)",
            str(ROOT / "src"),
        ],
        cwd=ROOT.anchor,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == covlaw.__version__


def test_installed_metadata_is_this_checkout() -> None:
    assert version("covlaw") == covlaw.__version__
    scripts = {e.name: e.value for e in entry_points(group="console_scripts")}
    assert scripts["covlaw"] == PYPROJECT["project"]["scripts"]["covlaw"]


@pytest.mark.parametrize("group", PYPROJECT["project"]["entry-points"])
def test_installed_entry_points_are_the_declared_ones(group: str) -> None:
    declared = PYPROJECT["project"]["entry-points"][group]
    assert {e.name: e.value for e in entry_points(group=group)} == declared


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", pin) for pin in pinned)
    return {normalised(name): pin for name, pin in (pin.split("==") for pin in pinned)}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def bounds(lines: list[str]) -> list[tuple[str, str]]:
    """`(name, lower bound)` of every requirement but ourselves."""
    shape = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?>=([0-9.]+)")
    split = [shape.fullmatch(line) for line in lines if "covlaw[" not in line]
    assert all(split)
    return [(normalised(m[1]), m[2]) for m in split if m]


CORE = bounds(PYPROJECT["project"]["dependencies"])
EXTRAS = bounds(
    [
        line
        for extra, lines in PYPROJECT["project"]["optional-dependencies"].items()
        if extra not in {"vllm", "verl"}  # CUDA only; an environment of its own
        for line in lines
    ]
)


@pytest.mark.parametrize(("name", "bound"), CORE + EXTRAS)
def test_every_dependency_is_pinned_within_its_bound(name: str, bound: str) -> None:
    assert _release(pins("constraints.txt")[name]) >= _release(bound)


@pytest.mark.parametrize(("name", "bound"), CORE)
def test_a_bound_of_the_core_is_a_version_that_its_tests_have_run_with(
    name: str, bound: str
) -> None:
    assert pins("requirements/core-lower-bounds.txt")[name] == bound


@pytest.mark.parametrize(("name", "bound"), EXTRAS)
def test_a_bound_of_an_extra_is_a_version_that_the_tests_have_run_with(
    name: str, bound: str
) -> None:
    installed, lowest = pins("constraints.txt"), pins("requirements/lower-bounds.txt")
    assert (installed | lowest)[name] == bound


def test_the_bound_of_verl_is_the_version_in_its_lock() -> None:
    [(name, bound)] = bounds(PYPROJECT["project"]["optional-dependencies"]["verl"])
    assert pins("requirements/verl-lock.txt")[name] == bound


def test_nothing_is_lowered_that_is_not_required() -> None:
    assert set(pins("requirements/lower-bounds.txt")) <= {name for name, _ in CORE + EXTRAS}
    assert set(pins("requirements/core-lower-bounds.txt")) == {name for name, _ in CORE}


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))

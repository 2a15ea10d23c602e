"""A wheel and a source distribution, built from a clean copy of the source and put to use."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from built import Built, build, clean_environment, copy_source, members, source_files, unpack

AREAS = ("theory", "records", "toys", "llm", "plugins", "ladder", "figures")

pytestmark = pytest.mark.slow  # a minute; .ci/run builds them too


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("built")
    return build(copy_source(place / "source"), place / "dist")


@pytest.fixture(scope="module")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(built.sdist, tmp_path_factory.mktemp("sdist"))


def names_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_nothing_warns_as_they_are_built(built: Built) -> None:
    lines = [line for line in built.printed.splitlines() if "warn" in line.lower()]
    assert lines == []


def test_the_source_distribution_holds_the_repository(unpacked: Path) -> None:
    added = {"PKG-INFO", "setup.cfg"}
    held = {name for name in names_in(unpacked) if not name.startswith("covlaw.egg-info/")}
    assert held - added == set(source_files())


def test_the_wheel_holds_every_module_and_data_file_and_no_program_of_ours(built: Built) -> None:
    held = {name for name in members(built.wheel) if not name.partition("/")[0].endswith("info")}
    modules = {f"covlaw/{name}" for name in source_files() if name.startswith(AREAS)}
    own = {name.removeprefix("src/") for name in source_files() if name.startswith("src/covlaw/")}
    pictures = {name for name in modules if name.startswith("covlaw/figures/pictures/")}
    assert pictures
    assert held == (modules | own) - pictures


def test_the_source_distribution_builds_the_same_wheel(
    built: Built, unpacked: Path, tmp_path: Path
) -> None:
    again = build(unpacked, tmp_path / "dist")
    assert members(again.wheel) == members(built.wheel)


def test_tests_pass_from_the_source_distribution(built: Built, tmp_path: Path) -> None:
    folder = unpack(built.sdist, tmp_path / "sdist")
    tests = ["tests/test_packaging.py", "tests/test_imports.py", "tests/theory/estimators"]
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env=clean_environment() | {"PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.fixture(scope="module")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, and the packages of this one behind it.

    A path file adds a folder without running the path files in it, among them that of our
    editable installation.
    """
    place = tmp_path_factory.mktemp("environment")
    call = [sys.executable, "-m", "venv", "--without-pip", str(place)]
    subprocess.run(call, check=True, env=clean_environment())  # noqa: S603
    found = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(found), "install", "--quiet"]
    quiet = ["--no-deps", "--no-index", "--disable-pip-version-check", str(built.wheel)]
    subprocess.run([*pip, *quiet], check=True, env=clean_environment())  # noqa: S603
    [site] = place.glob("lib/python*/site-packages")
    (site / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return found


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        env=clean_environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_package_is_the_wheel(python: Path, tmp_path: Path) -> None:
    source = "import covlaw, covlaw.theory as t; print(covlaw.__file__, t.__file__, sep='\\n')"
    found = run(tmp_path, str(python), "-c", source).stdout.split()
    assert len(found) == 2
    assert all(Path(file).is_relative_to(python.parents[1]) for file in found), found


@pytest.mark.parametrize("name", [*AREAS, "tools", "tests", "record"])
def test_no_folder_of_the_repository_is_importable_by_its_bare_name(
    python: Path, tmp_path: Path, name: str
) -> None:
    done = run(tmp_path, str(python), "-c", f"import {name}")
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("name", ["tools", "tests", "docs"])
def test_what_is_not_installed_is_not_part_of_the_package(
    python: Path, tmp_path: Path, name: str
) -> None:
    done = run(tmp_path, str(python), "-c", f"import covlaw.{name}")
    assert "ModuleNotFoundError" in done.stderr


def test_commands_work_away_from_the_source(python: Path, tmp_path: Path) -> None:
    covlaw = str(python.with_name("covlaw"))
    for command in (
        [covlaw, "check", "T1", "--instances", "3"],
        [covlaw, "figures"],
        [str(python), "-m", "covlaw.ladder", "--help"],
    ):
        done = run(tmp_path, *command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert list(tmp_path.rglob("*.png"))

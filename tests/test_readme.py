"""The README's example runs as printed, and its commands, links and files exist."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """Every call of a program in the shell blocks, without its comment."""
    pages = [README, (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")]
    shown = [block for page in pages for block in blocks("sh", page)]
    lines = [line.split("#")[0].split() for block in shown for line in block.splitlines()]
    return [line[1:] for line in lines if line[:1] == [program]]


def test_the_example_prints_what_the_readme_says() -> None:
    [example], [printed, *_] = blocks("python"), blocks("text")
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.anchor,
    )
    assert result.stdout == printed


def test_the_example_is_short() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) <= 10


def test_the_makefile_has_the_targets_it_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for [target, *_] in commands("make"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert commands("make") == [["ladder"], ["real"], ["test"]]


@pytest.mark.parametrize("call", commands("covlaw"), ids=" ".join)
def test_the_command_line_knows_the_commands(call: list[str]) -> None:
    names = [word for word in call if re.fullmatch("[a-z]+", word)]
    subcommand = names[:2] if names[0] == "llm" else names[:1]
    words = help_of(*subcommand)
    for option in (word for word in call if word.startswith("--")):
        assert option in words


@cache
def help_of(*subcommand: str) -> str:
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "covlaw.ladder", *subcommand, "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def test_the_folders_of_the_layout_are_the_folders() -> None:
    layout = next(block for block in blocks("text") if "theory/" in block)
    for folder in re.findall(r"^(\w+)/", layout, re.MULTILINE):
        assert (ROOT / folder).is_dir()


def test_citation_and_changelog_name_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    init = (ROOT / "src/covlaw/__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{citation["version"]}"' in init
    assert f"## [{citation['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["license"] == pyproject["project"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)

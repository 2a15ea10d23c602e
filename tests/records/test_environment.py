"""What a record says of where it was made."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covlaw.records import environment
from covlaw.records.environment import describe

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/env/bin/covlaw", "study", "--out", "a b"], "covlaw study --out 'a b'"),
        (["/src/covlaw/ladder/__main__.py", "ladder"], "python -m covlaw.ladder ladder"),
        ([str(ROOT / "ladder" / "real" / "__main__.py")], "python -m covlaw.ladder.real"),
        ([""], "''"),
        ([], "''"),
        (["-c", Path("a b")], "-c 'a b'"),
    ],
)
def test_the_command_can_be_typed_again(
    argv: list[Any], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert describe()["command"] == command


def test_the_revision_is_the_source_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "covlaw" / "llm" / "environment.py"
    monkeypatch.setattr(environment, "__file__", str(file))
    assert describe()["revision"] is None  # an installed copy
    top = file.parents[1]
    top.mkdir()
    git = ["git", "-C", str(top), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)  # noqa: S603
    (top / "file").write_text("1")
    subprocess.run([*git, "add", "."], check=True)  # noqa: S603
    subprocess.run([*git, "commit", "-qm", "first"], check=True)  # noqa: S603
    found = describe()["revision"]
    assert isinstance(found, str)
    assert 7 <= len(found) <= 12
    (top / "file").write_text("2")
    assert describe()["revision"] == f"{found}-dirty"

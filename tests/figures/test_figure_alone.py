"""Every figure is a program of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_runs import write_study

from covlaw.figures.registry import FIGURES

FIGURE_FILES = Path(__file__).parents[2] / "figures"
LONGEST = 150
"""Lines of a file that is one idea (CONTRIBUTING)."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_file_ends_as_a_program(name: str) -> None:
    text = (FIGURE_FILES / f"{name}.py").read_text(encoding="utf-8")
    assert text.endswith('if __name__ == "__main__":\n    draw_alone(__spec__)\n')


def test_no_file_of_the_figures_is_long() -> None:
    lengths = {p.name: len(p.read_bytes().splitlines()) for p in FIGURE_FILES.rglob("*.py")}
    assert len(lengths) > len(FIGURES)
    assert {name: count for name, count in lengths.items() if count > LONGEST} == {}


def test_a_figure_is_drawn_alone(tmp_path: Path) -> None:
    run = write_study(tmp_path / "run")
    ended = _run("study", str(run), "--out", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        str(tmp_path / "out" / f"study.{k}") for k in ("svg", "png")
    ]
    assert (tmp_path / "out" / "study.png").stat().st_size > 5_000


def test_what_is_missing_is_said_without_a_traceback(tmp_path: Path) -> None:
    ended = _run("interference", str(tmp_path))
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: figure 'interference' needs RL steps")
    assert "Traceback" not in ended.stderr


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", f"covlaw.figures.{name}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

"""examples/trl_audit.py runs in TRL from its command line; skipped where TRL is not installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import first_token_world as world
import pytest

pytest.importorskip("trl", reason="the example runs in TRL: pip install 'covlaw[trl]'")

SCRIPT = Path(__file__).parents[2] / "examples" / "trl_audit.py"
LINE = re.compile(r"step (\d+) (\w+): law (\S+) ± (\S+), did (\S+) ± (\S+)( ALARM)?")


@pytest.mark.parametrize("given", [["--scalarizer", "ctwa"], ["--guard"]])
def test_the_script_runs_from_its_command_line(tmp_path: Path, given: list[str]) -> None:
    for part in world.policy():
        part.save_pretrained(tmp_path)
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), "--model", str(tmp_path), "--steps", "1", *given],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = [LINE.fullmatch(line) for line in done.stdout.splitlines() if line.startswith("step")]
    assert [line and line[2] for line in found] == ["right", "brief", "clear"]

"""`torchrun` itself: the command of the documentation, and what is left of it after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killable import contents

from covlaw.records.runs import STEPS, read_lines

pytestmark = pytest.mark.slow

SETTINGS = (
    *("rewards=['conciseness_reference', 'clarity_reference']", "scalarizer='ctwa'"),
    *("prompts=5", "completions=4", "observed=4", "max_tokens=6", "steps=12", "audits=2"),
    *("audit_prompts=3", "audit_completions=4", "measured_completions=4", "checkpoint_every=3"),
)


def launch(out: Path, policy: Path) -> "subprocess.Popen[str]":
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run = ["-m", "covlaw.ladder", "llm", "train", "--out", str(out), "--model", str(policy)]
    return subprocess.Popen(  # noqa: S603
        [*launcher, "--nproc-per-node", "2", *run, "--set", *SETTINGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def workers(parent: int) -> dict[int, int]:
    """Process ids by rank of a launcher's children."""
    found = {}
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for pid in map(int, children):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks = [int(v[5:]) for v in variables if v.startswith(b"RANK=")]
        found |= dict.fromkeys(ranks, pid)
    return found


def test_a_launched_run_survives_the_kill_of_a_rank(policy_folder: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    said, _ = launch(whole, policy_folder).communicate(timeout=120)
    assert said.count("run: ") == 1, said  # rank 0 alone shows it
    process = launch(broken, policy_folder)
    end = time.monotonic() + 120
    while sum(1 for _ in read_lines(broken / STEPS)) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "covlaw: rank 0: " in said
    assert "the same command continues from step" in said
    launch(broken, policy_folder).communicate(timeout=120)
    # a rank that is told to end saves where it stands: other checkpoints, the same run
    apart = "checkpoints"
    kept = [{n: b for n, b in contents(r).items() if apart not in n} for r in (whole, broken)]
    assert kept[0] == kept[1]

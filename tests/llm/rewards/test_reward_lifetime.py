"""A reward that hangs ends with its trainer, or at its own deadline, whatever it is doing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HANGING = "def hang(completions, references, lengths, state):\n    return 10 ** 10 ** 10\n"
STATE = {"mean_length": 1.0, "total_length": 0.0, "seen": 0.0}
TRAINER = """
import sys, torch
from covlaw.llm.rewards import RewardState
from covlaw.llm.rewards.calling import RewardBatch
from covlaw.llm.rewards.worker import worker_of
worker = worker_of(sys.argv[1])
worker.find(sys.argv[1] + ":hang")
print(worker._process.pid, flush=True)
state = RewardState(torch.tensor(1.0))
batch = RewardBatch(["a"], ["b"], torch.ones(1), state)
worker.score(sys.argv[1] + ":hang", batch, seconds=600)
"""


@pytest.fixture
def hanging(tmp_path: Path) -> str:
    (tmp_path / "hanging.py").write_text(HANGING)
    return str(tmp_path / "hanging.py")


def alive(process: int) -> bool:
    """Whether it is at work; a zombie is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc, and the kernel for its signal")
def test_a_hanging_reward_does_not_outlive_a_killed_trainer(hanging: str) -> None:
    trainer = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", TRAINER, hanging], stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    worker = int(trainer.stdout.readline())
    time.sleep(0.3)  # the batch is on its way
    assert alive(worker)
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    end = time.monotonic() + 10
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(worker)


def test_a_hanging_reward_ends_itself_after_its_time(hanging: str) -> None:
    """No trainer ends it here; the interpreter never comes back from its one operation."""
    question = {"target": f"{hanging}:hang", "completions": ["a"], "references": ["b"]}
    line = json.dumps({**question, "lengths": [1], "state": STATE, "seconds": 0.3})
    worker = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "covlaw.llm.rewards.worker_process", json.dumps(sys.path), "0"],
        input=line + "\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert worker.returncode == -signal.SIGALRM, worker.stderr

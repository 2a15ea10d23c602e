"""Two processes: the same weights, state, audit, guard and policy in both, from all rewards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from covlaw.theory.scalarizers import Batch, make_scalarizer

HERE = Path(__file__).parent
NAMES = ("wanted", "akin", "traded")


@pytest.fixture(scope="module", params=["covariance_mgda", "ctwa", "mgda"])
def seen(request, tmp_path_factory) -> tuple[str, list[dict]]:
    folder = tmp_path_factory.mktemp(request.param)
    shared = str(HERE.parents[1] / "_shared")
    path = os.pathsep.join(p for p in (shared, os.environ.get("PYTHONPATH", "")) if p)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(str(HERE / "two_processes.py"), str(folder), request.param),
    ]
    done = subprocess.run(  # noqa: S603 - our own script
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads((folder / f"{r}.json").read_text(encoding="utf-8")) for r in range(2)]
    return request.param, found


def test_both_processes_agree_on_everything(seen) -> None:
    _, (first, second) = seen
    assert first["processes"] == 2
    assert first == second
    assert len(first["did"]) == len(first["guard"]) == 3


def test_weights_are_those_of_all_rewards(seen) -> None:
    """24 completions, 12 a process, 3 prompts of 8: the second prompt lies on both."""
    name, (first, _) = seen
    if name != "covariance_mgda":
        pytest.skip("the weights of these depend on more than this batch's rewards")
    assert [len(rewards) for rewards in first["rewards"]] == [24] * 3
    alone = make_scalarizer(name, NAMES)
    prompt = torch.arange(24) // 8
    for rewards, weights in zip(first["rewards"], first["weights"], strict=True):
        given = torch.tensor(rewards, dtype=torch.float64)
        whole = alone.signal(alone.init(), Batch(given, prompt))[1].weights
        torch.testing.assert_close(torch.tensor(weights), whole.float())

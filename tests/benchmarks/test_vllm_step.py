"""A training step with vLLM, as a ratio to TRL's GRPOTrainer with vLLM; see `vllm_steps`."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        find_spec("vllm") is None or find_spec("trl") is None,
        reason="needs vLLM and TRL in one environment: docs/vllm.md, Speed",
    ),
]
ROUNDS = 2
SCRIPT = Path(__file__).with_name("vllm_steps.py")


def seconds_a_step(side: str, folder: Path, seed: int) -> float:
    result = subprocess.run(  # noqa: S603
        [sys.executable, str(SCRIPT), side, str(folder), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("SECONDS ")]
    assert lines, result.stderr
    return float(lines[-1].split()[1])


def test_a_step_with_vllm_costs_no_more_than_trls(tmp_path: Path) -> None:
    rounds = [
        [seconds_a_step(side, tmp_path / f"{side}{k}", k) for side in ("ours", "trl")]
        for k in range(ROUNDS)
    ]
    ours, theirs = (min(times) for times in zip(*rounds, strict=True))
    print(f"a step with vLLM: {ours:.2f} s, TRL's {theirs:.2f} s: {theirs / ours:.2f}×")
    assert theirs / ours >= 1

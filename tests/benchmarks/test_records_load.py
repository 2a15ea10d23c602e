"""Large records: a page and a verdict, each as a ratio to parsing the same files as JSON."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import audit, write_llm_run
from timing import cpu_seconds

from covlaw.ladder.report import write_report
from covlaw.records.verdict.verdict import run_verdict

pytestmark = pytest.mark.benchmark


def lengthened(run: Path, steps: int, objectives: int, every: int) -> Path:
    """Make a run's first line into so many steps, with an audit every few."""
    rng = np.random.default_rng(0)
    line: dict[str, Any] = json.loads((run / "steps.jsonl").read_text().splitlines()[0])
    names = line["objectives"] if every else [f"r{j}" for j in range(objectives)]
    with (run / "steps.jsonl").open("w") as file:
        for step in range(steps):
            drift = step * np.resize([0.02, 0.02, -0.01], objectives)  # as `audit` forecasts it
            means = (0.5 + drift + 0.02 * rng.normal(size=objectives)).tolist()
            audited = every and step % every == 0
            audits = [audit(rng, s) for s in ("independent", "same")] if audited else []
            changes = {"step": step, "objectives": names, "reward_mean": means, "audits": audits}
            errors = {"reward_se": [0.02] * objectives, "weights": means}
            file.write(json.dumps(line | changes | errors) + "\n")
    return run


def parse(runs: list[Path]) -> None:
    for run in runs:
        for line in (run / "steps.jsonl").read_text().splitlines():
            json.loads(line)


@pytest.mark.filterwarnings("ignore:constrained_layout")  # 20 panels in a row
def test_a_page_of_ten_thousand_steps(tmp_path: Path) -> None:
    run = lengthened(write_llm_run(tmp_path / "run"), 10_000, 20, 0)
    page, plain = cpu_seconds(lambda: write_report(run), lambda: parse([run]), rounds=1)
    size = (run / "report.html").stat().st_size / 1e6
    print(f"page {page:.1f} s, {size:.2f} MB; parsing {plain:.2f} s: {page / plain:.0f}×")
    assert size < 3
    assert page / plain < 40


def test_the_verdict_of_fifty_runs(tmp_path: Path) -> None:
    runs = [lengthened(write_llm_run(tmp_path / f"r{k}"), 400, 3, 20) for k in range(50)]
    judged, plain = cpu_seconds(lambda: run_verdict(runs), lambda: parse(runs), rounds=1)
    print(f"verdict {judged:.1f} s; parsing {plain:.2f} s: {judged / plain:.0f}×")
    assert judged / plain < 80


AUDIT = """
import re, sys
from pathlib import Path
from covlaw.ladder.cli import main
code = main(["llm", "audit", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


def peak(runs: list[Path]) -> float:
    """MB that a process of its own takes for `covlaw llm audit` over some runs."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", AUDIT, *map(str, runs)], check=True, capture_output=True, text=True
    )
    return int(done.stderr.split()[-1]) / 1024


def test_fifty_runs_take_little_more_memory_than_one(tmp_path: Path) -> None:
    runs = [lengthened(write_llm_run(tmp_path / f"r{k}"), 400, 3, 20) for k in range(50)]
    one = peak(runs[:1])
    fifty = peak(runs)
    print(f"50 runs × 20 audits: {fifty:.0f} MB, one run {one:.0f} MB: {fifty / one:.2f}×")
    assert fifty / one < 1.4

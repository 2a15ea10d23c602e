"""Worker processes: one that dies costs its own job, and none outlives the ladder."""

import os
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from covlaw.ladder.climb import run
from covlaw.ladder.climb.folder import LadderFolder
from covlaw.ladder.climb.plan import Job, Settings
from covlaw.ladder.climb.state import ClimbState

ORPHANING = """
import os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from covlaw.ladder.workers import start_worker

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=start_worker)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 60)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go while the file is open
        return False


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_stopping_ends_a_process_that_is_at_work() -> None:
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    pid = pool.submit(os.getpid).result()
    pool.submit(time.sleep, 60)
    run.stop(pool)
    assert gone_within(pid, 10)


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "orphaning.py"
    script.write_text(ORPHANING)
    printed = tmp_path / "pid"
    with printed.open("w") as file:  # a pipe would stay open in the orphan
        killed = subprocess.run([sys.executable, str(script)], stdout=file, check=False)  # noqa: S603
    assert killed.returncode < 0
    assert gone_within(int(printed.read_text()), 10)


class Mortal:
    """A pool whose process dies on the job named "fatal", and that takes no more then."""

    pools = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        type(self).pools += 1
        self.dead = False

    def __enter__(self) -> "Mortal":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""

    def submit(self, function: Any, job: Job) -> Any:
        if self.dead:
            raise BrokenProcessPool("dead")
        future: Future[Any] = Future()
        if job.name == "fatal":
            self.dead = True
            future.set_exception(BrokenProcessPool("a process died"))
        else:
            future.set_result({"id": job.name, "rung": "theory", "status": "holds"})
        return future


def test_a_process_that_dies_costs_its_own_job_only(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(run, "ProcessPoolExecutor", Mortal)
    jobs = [Job("check", name, (), 1.0) for name in ("T1", "fatal", "T2", "T3")]
    monkeypatch.setattr(run, "exact_jobs", lambda settings: list(jobs))
    settings = Settings(("theory",))
    state = run.climb(LadderFolder(tmp_path / "out", settings), settings, 2, lambda state: None)
    assert sorted(state.verdicts) == ["T1", "T2", "T3"]
    assert list(state.failures) == ["fatal"]
    assert "a process died" in (tmp_path / "out" / "failures.log").read_text()
    assert Mortal.pools == 2


def test_a_crash_of_the_llm_checks_keeps_the_other_verdicts(
    tmp_path: Path, monkeypatch: Any
) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError("on purpose")

    settings = Settings(("llm",))
    folder = LadderFolder(tmp_path / "out", settings)
    (folder.path / "llm" / "linear-seed0" / "audits").mkdir(parents=True)
    monkeypatch.setattr(run, "check_recorded", crash)
    state = ClimbState(settings, folder.path, {"T1 theory": {"status": "holds"}})
    run._check_runs("llm", folder, settings, state)
    assert list(state.verdicts) == ["T1 theory"]
    assert "on purpose" in state.failures["checks on the LLM runs"]


def test_a_verdict_cut_by_a_kill_spoils_no_later_one(tmp_path: Path) -> None:
    settings = Settings(("theory",))
    folder = LadderFolder(tmp_path / "out", settings)
    folder.add({"id": "T1", "rung": "theory"})
    with (folder.path / "verdicts.jsonl").open("ab") as file:
        file.write('{"id": "T2", "note": "η'.encode()[:-1])  # in the middle of a character
    assert list(folder.finished()) == ["T1 theory"]
    folder.add({"id": "T3", "rung": "theory"})
    assert list(folder.finished()) == ["T1 theory", "T3 theory"]

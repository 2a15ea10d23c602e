"""The kill campaign finds what it is there to find: lost and repeated work, hangs, orphans."""

import math
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from kills import campaign
from kills.command import alive, run
from kills.compare import contents, differences


def test_every_byte_counts_but_those_of_time(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / "llm").mkdir(parents=True)
        (tmp_path / name / "llm" / "steps.jsonl").write_text("1\n2\n")
        (tmp_path / name / "llm" / "timing.jsonl").write_text(f"{name}\n")
        (tmp_path / name / "runs.jsonl").write_text("1\n2\n" if name == "a" else "2\n1\n")
    wanted = contents(tmp_path / "a")
    assert differences(contents(tmp_path / "b"), wanted) == []
    (tmp_path / "b" / "llm" / "steps.jsonl").write_text("1\n3\n")
    (tmp_path / "b" / "more").write_text("")
    (tmp_path / "b" / "runs.jsonl").unlink()
    assert differences(contents(tmp_path / "b"), wanted) == [
        "llm/steps.jsonl differs from byte 2 on",
        "more is one too many",
        "runs.jsonl is missing",
    ]


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    with suppress(OSError):
        os.setpgid(child, child)
    if child:
        return child
    work()
    os._exit(0)


def counts(arguments: list[str], folder: Path, log: Path) -> int:
    """A command that appends ten lines; "careful" goes on where it was, "careless" begins again."""
    record = folder / "out" / "lines.jsonl"

    def work() -> None:
        record.parent.mkdir(exist_ok=True)
        done = len(record.read_text().splitlines()) if record.exists() else 0
        for k in range(done if arguments == ["careful"] else 0, 10):
            with record.open("a") as file:
                file.write(f"{k}\n")
            time.sleep(0.02)

    return forked(work)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: it is what we test
@pytest.mark.parametrize("manner", ["careful", "careless"])
def test_a_command_that_begins_again_is_found_out(
    manner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "start", counts)
    one = campaign.Campaign(manner, [manner], tmp_path, random.Random(1))
    tally = one.kill(4, lambda _: None)
    assert tally.kills == 4 or tally.wrong
    assert bool(tally.wrong) is (manner == "careless")
    assert all("lines.jsonl differs from byte" in said for said in tally.wrong)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_hangs_and_orphans_are_seen() -> None:
    asleep = forked(lambda: time.sleep(60))
    ended = run(asleep, math.inf, alone=False, limit=0.1, clock=time.monotonic)
    assert (ended.killed, ended.code) == (False, -int(signal.SIGKILL))  # hung, not killed by plan

    heard, said = os.pipe()

    def with_worker() -> None:
        os.fork()
        os.write(said, b".")
        time.sleep(60)

    parent = forked(with_worker)
    os.read(heard, 1)  # the worker is there, however busy the machine
    assert run(parent, 0.3, alone=True, limit=60, clock=time.monotonic).killed
    assert alive(parent)
    os.killpg(parent, signal.SIGKILL)
    until = time.monotonic() + 20
    while alive(parent) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(parent)

"""Kills one command again and again, and compares what each finished run left."""

import math
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kills.command import Ending, alive, run, start
from kills.compare import contents, differences

REACH = 0.5
"""A start is killed within this share of the time that an undisturbed one takes."""
MOST = 10
"""Kills of one run; then it is left to finish."""
ORPHANS_END = 30.0
"""Seconds that workers have to end in once their parent is gone."""


@dataclass
class Tally:
    """What came of one command."""

    name: str
    runs: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


class Show:
    """Kills made so far, over all commands."""

    def __init__(self, total: int) -> None:
        self.total, self.before, self.started = total, 0, time.monotonic()

    def __call__(self, tally: Tally) -> None:
        """Say where it stands."""
        gone = time.monotonic() - self.started
        print(
            f"{gone:5.0f} s  {self.before + tally.kills} of {self.total} kills  "
            f"{tally.name}: {tally.kills} in {tally.runs} finished runs, {len(tally.wrong)} wrong",
            flush=True,
        )


class Campaign:
    """Kills one command.

    Args:
        name: In what is said of it.
        arguments: Of the command line; it writes into a folder `out` where it is given.
        scratch: Folder of its own.
        rng: Of the moments.
    """

    def __init__(self, name: str, arguments: list[str], scratch: Path, rng: random.Random) -> None:
        self.arguments = arguments
        self.scratch, self.rng, self.tally = scratch, rng, Tally(name)
        self.groups: list[int] = []
        self.whole = self._folder("undisturbed")
        ending = self._start(self.whole, math.inf, alone=False, limit=math.inf)
        self.seconds = ending.seconds
        if ending.code:
            raise SystemExit(f"{name}: the undisturbed run ended with {_last(self.whole)}")
        self.wanted = contents(self.whole / "out")

    def kill(self, count: int, news: Callable[[Tally], None]) -> Tally:
        """Kill so often, over as many runs as that takes; a command that fails is given up."""
        while self.tally.kills < count and not self.tally.wrong:
            folder = self._folder(f"run {self.tally.runs}")
            end = min(count, self.tally.kills + MOST)
            while not self._finished(folder, end):
                news(self.tally)
            self.tally.runs += 1
            self._judge(folder)
            news(self.tally)
        return self.tally

    def _finished(self, folder: Path, count: int) -> bool:
        more = self.tally.kills < count
        moment = self.rng.uniform(0, REACH * self.seconds) if more else math.inf
        ending = self._start(folder, moment, self.rng.random() < 0.5, 60 + 10 * self.seconds)
        self.tally.kills += ending.killed
        if not ending.killed and ending.code:
            self.tally.wrong.append(f"{folder.name}: a start ended with {_last(folder)}")
        return not ending.killed

    def _start(self, folder: Path, moment: float, alone: bool, limit: float) -> Ending:
        process = start(self.arguments, folder, folder / "said.txt")
        self.groups.append(process)
        return run(process, moment, alone, limit, time.monotonic)

    def _judge(self, folder: Path) -> None:
        until = time.monotonic() + ORPHANS_END
        while (left := [g for g in self.groups if alive(g)]) and time.monotonic() < until:
            time.sleep(0.1)
        self.tally.wrong += [f"{folder.name}: a worker outlives its parent" for _ in left]
        found = differences(contents(folder / "out"), self.wanted)
        self.tally.wrong += [f"{folder.name}: {said}" for said in found]
        self.groups.clear()
        if not found:
            shutil.rmtree(folder)

    def _folder(self, name: str) -> Path:
        """Of one run; commands are given there, so that no record holds its name."""
        path = self.scratch / name
        path.mkdir(parents=True)
        return path


def _last(folder: Path) -> str:
    lines = (folder / "said.txt").read_text(errors="replace").splitlines() or ["nothing said"]
    return f"{lines[-1]!r} (all in {folder / 'said.txt'})"

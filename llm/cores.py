"""How many cores there are to compute on."""

import os
from math import ceil
from pathlib import Path

SYSTEM = Path("/sys")
"""Where Linux describes its processors and limits."""


def physical_cores(system: Path = SYSTEM) -> int:
    """Physical cores that this process may use: products of matrices gain nothing by more threads.

    What OMP_NUM_THREADS says does not count: the Makefile sets it to 1 for whatever does not
    choose. A container's share of the machine does, rounded up. Where the system tells neither
    (macOS, Windows) all its processors count.

    Args:
        system: Stands for `/sys`.
    """
    allowed = _allowed()
    siblings = {_siblings(system, cpu) for cpu in allowed}
    return max(1, min(len(siblings), _quota(system, len(allowed))))


def cores_of_a_process() -> int:
    """Physical cores for each of the processes that a launcher started on this machine."""
    return max(1, physical_cores() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


def _allowed() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _siblings(system: Path, cpu: int) -> str:
    """The processors that share this one's core, as the kernel writes them."""
    path = system / "devices" / "system" / "cpu" / f"cpu{cpu}" / "topology"
    try:
        return (path / "thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _quota(system: Path, most: int) -> int:
    """Processors' worth of time that the control group may use, at most `most`."""
    try:
        limit, period = (system / "fs" / "cgroup" / "cpu.max").read_text("ascii").split()
        return min(most, ceil(int(limit) / int(period)))
    except (OSError, ValueError):  # none, or "max"
        return most

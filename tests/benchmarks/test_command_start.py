"""How soon the command answers, beside what it is built with."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark


def cpu_seconds(*arguments: str) -> float:
    """Least of five: user and system time of a fresh interpreter."""
    found = []
    for _ in range(5):
        before = os.times()
        subprocess.run(  # noqa: S603
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )
        after = os.times()
        spent = after.children_user + after.children_system
        found.append(spent - before.children_user - before.children_system)
    return min(found)


@pytest.mark.parametrize("command", ["--help", "study --help", "llm train --help", "find"])
def test_help_and_listings_take_a_few_times_as_long_as_importing_tyro(command: str) -> None:
    """Torch alone would take 20 times as long; tyro's own work on a long help text some 2 times."""
    ours = cpu_seconds("-m", "covlaw.ladder", *command.split())
    tyro = cpu_seconds("-c", "import tyro, rich.console, rich.table")
    print(f"covlaw {command}: {ours:.2f} s of CPU = {ours / tyro:.1f} imports of tyro and rich")
    assert ours <= 4 * tyro
    assert ours < 1


def test_importing_the_package_takes_no_time() -> None:
    ours, nothing = cpu_seconds("-c", "import covlaw"), cpu_seconds("-c", "pass")
    print(f"import covlaw: {ours - nothing:.3f} s of CPU beside an interpreter's {nothing:.3f} s")
    assert ours - nothing < 0.1

"""The command in a shell: a reader that leaves, Ctrl-C while it still imports."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from covlaw.ladder import cli
from covlaw.ladder.exit_codes import FAILED, INTERRUPTED, READER_GONE
from covlaw.ladder.terminal import stoppable

COVLAW = [sys.executable, "-m", "covlaw.ladder"]
IMPORTING = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from covlaw.ladder.cli import main
sys.exit(main(["check", "T1"]))
"""
"""Ctrl-C at the moment when a module begins to be imported."""


def start(command: list[str], **kwargs) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **kwargs)  # noqa: S603


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check", "T1", "--instances", "5"]],
    ids=["plain print", "rich"],
)
def test_a_reader_that_leaves_ends_the_command_quietly(arguments: list[str]) -> None:
    with start([*COVLAW, *arguments]) as command:
        command.stdout.close()
        error = command.stderr.read()
        assert command.wait(60) == READER_GONE
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


def test_a_reader_of_errors_that_leaves_too_is_no_refutation() -> None:
    with start([*COVLAW, "check", "T99"]) as command:
        command.stdout.close()
        command.stderr.close()
        assert command.wait(60) == READER_GONE


def test_a_pipe_of_our_own_that_breaks_is_a_crash(monkeypatch, capsys) -> None:
    def broken() -> None:
        raise BrokenPipeError("a worker has gone")

    monkeypatch.setattr("covlaw.ladder.commands.llm.train.presets", broken)
    assert cli.main(["llm", "presets"]) == FAILED
    assert "a worker has gone" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["tyro", "numpy._core._multiarray_umath", "torch._C"])
def test_ctrl_c_during_the_imports_is_one_line(module: str) -> None:
    with start([sys.executable, "-c", IMPORTING.format(module=module)]) as command:
        out, error = command.communicate(timeout=60)
        assert command.returncode == INTERRUPTED
    assert (out, error) == ("", "covlaw: interrupted before anything was done\n")


def test_handlers_of_others_are_left_alone() -> None:
    seen = []
    kept = signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
        assert seen == ["theirs"]
    finally:
        signal.signal(signal.SIGINT, kept)


def test_elsewhere_than_in_the_main_thread_it_does_nothing() -> None:
    entered = []

    def enter() -> None:
        with stoppable():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [signal.getsignal(signal.SIGINT)]


def test_afterwards_ctrl_c_is_pythons_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stoppable():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before

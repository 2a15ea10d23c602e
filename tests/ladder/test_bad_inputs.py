"""Over two hundred bad inputs, a line each in bad_inputs.tsv: what is typed, and what is said."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bad_files import write_bad_files

from covlaw.ladder.cli import main

TABLE = Path(__file__).with_name("bad_inputs.tsv")
INPUTS = [line.split("\t") for line in TABLE.read_text().splitlines()]
SECONDS = 60
"""On a busy machine; none takes one alone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bad_files(tmp_path_factory.mktemp("bad"))


@contextmanager
def soon() -> Iterator[None]:
    """Fail where work begins instead of a refusal."""

    def late(*_: object) -> None:
        pytest.fail(f"nothing was said for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_there_are_enough_of_them() -> None:
    assert len({typed for typed, _ in INPUTS}) == len(INPUTS) >= 150


@pytest.mark.parametrize(("typed", "said"), INPUTS, ids=[typed for typed, _ in INPUTS])
def test_a_bad_input_is_refused_in_a_sentence(
    typed: str, said: str, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = [word.replace("{d}", str(folder)) for word in shlex.split(typed)]
    with soon():
        assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert said.replace("{d}", str(folder)) in shown
    assert "Traceback" not in shown
    assert not list(tmp_path.iterdir())  # refused before anything is made

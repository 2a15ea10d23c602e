"""A hub that nobody answers for is given up at once, not after a minute of retries."""

import socket
import time
from pathlib import Path

import pytest

from covlaw.ladder.cli import main
from covlaw.llm.model import hub
from covlaw.llm.model.policy import cached_only


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "getproxies", dict)
    hub._answers.cache_clear()


def test_a_machine_that_answers_is_told_from_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert hub.hub_reachable(here)
    hub._answers.cache_clear()
    assert not hub.hub_reachable(here)
    assert not hub.hub_reachable("https://hub.invalid")


def test_a_proxy_is_left_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy.invalid"})
    assert hub.hub_reachable("https://hub.invalid")


def test_a_folder_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_answers", lambda _: pytest.fail("asked"))
    assert cached_only(str(tmp_path))


def test_a_model_that_is_nowhere_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub, "_answers", lambda _: False)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a retry"))
    assert main(["llm", "eval", "nope"]) == 2
    shown = capsys.readouterr().err
    assert "'nope'" in shown
    assert "give a folder" in shown
    assert "Retry" not in shown

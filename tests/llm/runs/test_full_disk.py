"""A disk of two megabytes that is full while a run writes: a sentence, and nothing is lost."""

import importlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from killable import contents
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.train import train
from covlaw.theory._numerics.errors import CovlawError

WRITERS = {
    "audits/step_": ("covlaw.llm.audit.auditor", "save_evidence", 2),
    "checkpoints/step-": ("covlaw.llm.runs.checkpoint", "save", 2),
    ".jsonl": ("covlaw.records.runs", "append_line", 2),
    "model": ("covlaw.llm.runs.checkpoint", "save_model", 1),
}
"""What is being written when the disk is full, and from which call of which function on."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; skipped where none may be mounted."""
    place, mount, umount = tmp_path / "disk", shutil.which("mount"), shutil.which("umount")
    place.mkdir()
    if not (mount and umount) or os.geteuid():
        pytest.skip("only root mounts a file system")
    command = [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run([umount, "-l", str(place)], check=True)  # noqa: S603


@pytest.fixture
def config(policy_folder: Path, disk: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        disk / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        prompts=3,
        completions=4,
        audit_prompts=2,
        audit_completions=2,
        measured_completions=2,
        checkpoint_every=2,
    )


def fill(disk: Path) -> None:
    """Write until the system says that there is no room left."""
    size = 1 << 16
    with (disk / "filler").open("wb", buffering=0) as file:
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


@pytest.mark.parametrize("written", WRITERS)
def test_a_disk_that_is_full_loses_nothing_recorded(
    written: str, config: TrainConfig, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if written == ".jsonl":
        config = replace(config, checkpoint_every=100)  # only lines are written on the way
    whole = contents(train(replace(config, out=str(tmp_path / "whole"))))
    module, name, call = WRITERS[written]
    real, calls = getattr(importlib.import_module(module), name), []

    def full(*arguments: object, **named: object) -> object:
        calls.append(name)
        if len(calls) >= call:  # a line may fit into the last page that its file has
            fill(disk)
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.{name}", full)
        with pytest.raises(
            CovlawError, match=r"cannot write .*(No space left|os error 28)"
        ) as said:
            train(config)
    assert written in str(said.value)
    assert "the same command continues from step" in str(said.value)
    (disk / "filler").unlink()
    assert contents(train(config)) == whole

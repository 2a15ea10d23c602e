"""A folder holds one run: whoever comes second is refused, and what changed underneath is said."""

import os
import signal
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from killable import contents
from small_runs import small_run

from covlaw.ladder.cli import main
from covlaw.llm import train as train_module
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.runs.stop_signals import Stopped
from covlaw.llm.train import train
from covlaw.records.lines import read_lines
from covlaw.records.runs import CONFIG, ENVIRONMENT, EVALUATIONS, STEPS
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        steps=2,
        prompts=3,
        completions=4,
        observed=2,
        max_tokens=5,
        audits=0,
    )


class Loading:
    """Stands where the model is loaded; what it finds there is another start on the folder."""

    def __init__(self, other: TrainConfig) -> None:
        self.other, self.said = other, ""

    def __call__(self, config: TrainConfig) -> Any:
        try:
            train_module._train(self.other, None)
        except CovlawError as error:
            self.said = str(error)
        raise CovlawError("enough: for this test")


@pytest.mark.parametrize("scalarizer", ["linear", "ctwa"])
def test_a_second_start_while_the_first_loads_its_model_is_refused(
    config: TrainConfig, scalarizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = Loading(config.with_options(scalarizer=scalarizer))
    monkeypatch.setattr(train_module, "Trainer", loading)
    with pytest.raises(CovlawError, match="enough"):
        train(config)
    assert "another process is at work" in loading.said
    assert not (Path(config.out) / CONFIG).exists()


def test_what_the_first_start_wrote_is_read_again_under_the_lock(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins and ends between our look at the folder and our lock."""
    acquire = FileLock.acquire

    def late(self: FileLock, **arguments: Any) -> Any:
        monkeypatch.setattr(FileLock, "acquire", acquire)
        train(config)
        return acquire(self, **arguments)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(CovlawError, match="holds another run: options is"):
        train(config.with_options(scalarizer="ctwa"))


def test_a_checkpoint_of_another_run_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    first = train(config)
    other = config.with_options(learning_rate=1e-3, out=str(tmp_path / "other"), steps=3)
    run = Path(other.out)
    train(other.with_options(steps=2))
    (run / "checkpoints").rename(run / "own")
    (first / "checkpoints").rename(run / "checkpoints")
    with pytest.raises(CovlawError, match="is of another run: learning_rate differs"):
        train(other)


def test_a_finished_run_grows_to_what_a_longer_one_would_be(
    config: TrainConfig, tmp_path: Path
) -> None:
    longer = replace(config, steps=4, samples=0, checkpoint_every=2)
    unbroken = train(replace(longer, out=str(tmp_path / "unbroken")))
    run = train(replace(longer, steps=2))
    weights = (run / "model" / "model.safetensors").read_bytes()
    assert train(longer) == run
    assert contents(run) == contents(unbroken)
    assert (run / "model" / "model.safetensors").read_bytes() != weights
    assert tomllib.loads((run / CONFIG).read_text())["steps"] == 4
    with pytest.raises(CovlawError, match="steps is 4 there, 3 here"):
        train(replace(longer, steps=3))


def test_a_run_that_grows_keeps_its_last_evaluation_and_repeats_none(config: TrainConfig) -> None:
    evaluated = replace(config, steps=3, evaluate_every=2, evaluate_prompts=3)
    for steps in (3, 4, 5):
        run = train(replace(evaluated, steps=steps))
    found = [record["step"] for record in read_lines(run / EVALUATIONS)]
    assert found == [0, 2, 3, 4, 5]


@pytest.fixture
def own(config: TrainConfig, tmp_path: Path) -> TrainConfig:
    """On a file of the user's, with a reward of the user's."""
    rows = [f'{{"prompt": "{k} + 1 = ?", "answer": "{k + 1}"}}' for k in range(20)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "mine.py").write_text(
        "def brief(completions, references, lengths, state):\n    return [-len(c) for c in "
        "completions]\n"
    )
    return config.with_options(
        task="jsonl",
        task_path=str(tmp_path / "rows.jsonl"),
        rewards=(f"brief={tmp_path}/mine.py:brief", "clarity_reference"),
    )


@pytest.mark.parametrize("file", ["rows.jsonl", "mine.py"])
def test_a_run_does_not_go_on_with_other_data_or_rewards(
    own: TrainConfig, file: str, tmp_path: Path
) -> None:
    run = train(own)
    before = (run / STEPS).read_bytes()
    path = tmp_path / file
    original = path.read_text()
    path.write_text(original.replace("1", "2") if file == "rows.jsonl" else original + "\n#\n")
    what = "train data" if file == "rows.jsonl" else "reward brief"
    with pytest.raises(CovlawError, match=f"{what} changed since the run"):
        train(replace(own, steps=3))
    path.write_text(original)
    train(replace(own, steps=3))
    assert (run / STEPS).read_bytes().startswith(before)
    (run / ENVIRONMENT).unlink()  # as an older run, which has no digests
    train(replace(own, steps=4))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_leaves_a_checkpoint_and_says_how_to_go_on(
    config: TrainConfig, number: signal.Signals, tmp_path: Path
) -> None:
    unbroken = train(replace(config, steps=3, out=str(tmp_path / "unbroken")))

    def tell(done: int, total: int, record: dict[str, object]) -> None:
        if done == 1:
            os.kill(os.getpid(), number)

    many = replace(config, steps=3, checkpoint_every=100)
    signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP
    with pytest.raises(Stopped, match=rf"{number.name} \(stopped after 1 of 3 .* from step 1\)"):
        train(many, tell)
    assert signal.getsignal(number) is signal.SIG_DFL
    train(many)
    apart = "step-000001"
    found = {name: data for name, data in contents(Path(many.out)).items() if apart not in name}
    assert found == contents(unbroken)


def test_the_command_ends_with_the_signals_number(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*_: object) -> None:
        raise Stopped(signal.SIGTERM, "stopped after 1 of 2 steps")

    monkeypatch.setattr(train_module, "train", told)
    assert main(["llm", "train"]) == 128 + signal.SIGTERM
    assert "told to stop by SIGTERM (stopped after 1" in capsys.readouterr().err


def test_checkpoints_that_is_a_file_is_refused_before_a_step(config: TrainConfig) -> None:
    run = train(config)
    (run / "checkpoints").rename(run / "moved")
    (run / "checkpoints").write_text("a file")
    with pytest.raises(CovlawError, match="checkpoints is no folder: move it away"):
        train(replace(config, steps=3))

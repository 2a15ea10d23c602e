"""Another model at the same place is told from the one that was there."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from small_runs import small_run
from tiny_model import write_tiny_model
from tiny_models import write_kind

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model import hub
from covlaw.llm.model.identity import model_identity
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, recorded_inputs
from covlaw.theory._numerics.errors import CovlawError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def nudge(folder: Path) -> None:
    """One weight of a model by the least that its numbers can tell."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    first = next(iter(weights.values())).view(-1)
    first[0] = first[0].nextafter(first[0] + 1)
    save_file(weights, file, {"format": "pt"})


def say_otherwise(folder: Path, name: str) -> None:
    file = folder / name
    found = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(found | {"said": "otherwise"}))


@pytest.mark.parametrize(
    "change",
    [
        nudge,
        lambda folder: say_otherwise(folder, "config.json"),
        lambda folder: say_otherwise(folder, "tokenizer.json"),
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
        lambda folder: (folder / "tokenizer.json").rename(folder / "added_tokens.json"),
    ],
    ids=["weight", "architecture", "tokenizer", "template", "name"],
)
def test_whatever_is_read_of_a_model_counts(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    model = write_tiny_model(tmp_path / "model")
    before = model_identity(str(model))
    change(model)
    assert model_identity(str(model)) != before


def test_what_is_told_about_a_model_does_not(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    before = model_identity(str(model))
    (model / "README.md").write_text("a model")
    say_otherwise(model, "base.json")
    say_otherwise(model, "generation_config.json")
    model.rename(tmp_path / "moved")
    assert model_identity(str(tmp_path / "moved")) == before


def test_adapters_count_with_their_base(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    base = write_kind("llama", tmp_path / "base")
    run = train(small_run(base, tmp_path / "run", steps=1, audits=0, lora={"rank": 2}))
    adapters = run / "model"
    before = model_identity(str(adapters))
    assert len({before, model_identity(str(base))}) == 2
    nudge(base)
    assert model_identity(str(adapters)) != before


@pytest.mark.parametrize("model", ["somebody/something", "no/such/folder"])
def test_what_is_nowhere_has_none(model: str) -> None:
    """Loading says what is wrong."""
    assert model_identity(model) == ""


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    (model / "config.json").unlink()
    (model / "config.json").mkdir()
    with pytest.raises(CovlawError, match=f"cannot read the model {model}/config.json"):
        model_identity(str(model))


@pytest.mark.parametrize("lora", [{}, {"rank": 2}], ids=["whole", "adapters"])
def test_a_run_does_not_go_on_from_another_base(lora: dict[str, int], tmp_path: Path) -> None:
    """Its checkpoints need not hold what they are added to, and its KL is to the base."""
    if lora:
        pytest.importorskip("peft")
    model = write_kind("qwen", tmp_path / "model")
    config = small_run(model, tmp_path / "run", steps=1, audits=0, lora=lora)
    run = train(config)
    before, weights = (run / STEPS).read_bytes(), (model / "model.safetensors").read_bytes()
    nudge(model)
    with pytest.raises(CovlawError, match="base model changed since the run"):
        train(replace(config, steps=2))
    assert (run / STEPS).read_bytes() == before
    (model / "model.safetensors").write_bytes(weights)
    train(replace(config, steps=2))
    assert (run / STEPS).read_bytes().startswith(before)


def test_a_run_does_not_go_on_from_another_commit_of_a_hubs_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_answers", lambda _: False)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    config = TrainConfig.from_dict(
        small_run(Path("x"), tmp_path / "run", steps=1, audits=0).to_dict() | {"model": "some/one"}
    )
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("asked a hub that is away again"))
    put(tmp_path / "hub", COMMIT)
    run = train(config)
    assert recorded_inputs(run)["base model"] == COMMIT == model_identity(config.model)
    put(tmp_path / "hub", COMMIT[::-1])
    with pytest.raises(CovlawError, match="base model changed since the run"):
        train(replace(config, steps=2))


def put(cache: Path, commit: str) -> None:
    """A model as the hub's client keeps it: `main` is at this commit."""
    folder = cache / "models--some--one"
    write_tiny_model(folder / "snapshots" / commit)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)

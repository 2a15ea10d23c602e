"""Damaged, foreign and hostile model folders: a sentence and exit code 2, nothing is executed."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from covlaw.ladder.cli import main
from covlaw.llm.model import tokenizer as tokenizer_module

Damage = Callable[[Path], None]
WEIGHTS = "model.safetensors"


def config(**changes: Any) -> Damage:
    return _json("config.json", changes)


def template(text: Any) -> Damage:
    return _json("tokenizer_config.json", {"chat_template": text})


def _json(name: str, changes: dict[str, Any]) -> Damage:
    def apply(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | changes))

    return apply


def put(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content) and None


def without(pattern: str) -> Damage:
    return lambda folder: [file.unlink() for file in folder.glob(pattern)] and None


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Damage:
    def apply(folder: Path) -> None:
        found = {name: value.clone() for name, value in load_file(folder / WEIGHTS).items()}
        save_file(change(found), folder / WEIGHTS, metadata={"format": "pt"})

    return apply


def cut(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def remote(folder: Path) -> None:
    config(model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.C"})(
        folder
    )
    (folder / "own.py").write_text(f"open({str(folder / 'EXECUTED')!r}, 'w')")


class Touch:
    """What a pickle would do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Touch(folder / "EXECUTED")))


NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
LOADING = "cannot load the model from folder"
CASES: dict[str, tuple[Damage, str]] = {
    "weights cut short": (cut, LOADING),
    "weights of bytes": (put(WEIGHTS, b"\xff" * 3000), LOADING),
    "a header without end": (put(WEIGHTS, (2**62).to_bytes(8, "little") + b"{}"), LOADING),
    "other shapes": (config(hidden_size=64), "not of the shapes that its config.json says"),
    "a smaller vocabulary": (config(vocab_size=5), "not of the shapes"),
    "no weights": (without(WEIGHTS), "no file named model.safetensors"),
    "a weight missing": (
        weights(lambda w: {k: w[k] for k in w if "input_layernorm" not in k}),
        "has no weights model.layers.0.input_layernorm.weight",
    ),
    "weights that are no number": (
        weights(lambda w: {k: v * float("nan") for k, v in w.items()}),
        "holds what is no number",
    ),
    "a pickle": (pickled, "no file named model.safetensors"),
    "code of its own": (remote, "contains custom code"),
    "no tokenizer": (without("tokenizer*"), "reads no text: add its tokenizer.json"),
    "a tokenizer of braces": (put("tokenizer.json", b"{oops"), LOADING),
    "an empty tokenizer": (put("tokenizer.json", b"{}"), LOADING),
    "a tokenizer's config a list": (put("tokenizer_config.json", b"[]"), LOADING),
    "no config": (without("config.json"), LOADING),
    "config a list": (put("config.json", b"[1]"), LOADING),
    "config no UTF-8": (put("config.json", b"\xff\xfe"), LOADING),
    "an unknown kind": (config(model_type="nonsense"), "model type `nonsense`"),
    "no layers": (config(num_hidden_layers=-1), LOADING),
    "layers a text": (config(num_hidden_layers="many"), LOADING),
    "no heads": (config(num_attention_heads=0), LOADING),
    "nothing at all": (without("*"), LOADING),
    "a template cut short": (template("{% if"), "chat template"),
    "a template that refuses": (template("{{ raise_exception('no') }}"), "(no)"),
    "a template that divides": (template("{{ 1/0 }}"), "(division by zero)"),
    "a template that reaches out": (template("{{ messages.__class__.__mro__ }}"), "is unsafe"),
    "a template without end": (template(NESTED), "(not done after 0.2 s)"),
    "an empty template": (template(""), "makes nothing of"),
    "a template a list": (template([1]), LOADING),
}


@pytest.mark.parametrize("name", CASES)
def test_a_folder_is_refused_in_a_sentence(
    name: str, policy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    damage, message = CASES[name]
    model = tmp_path / "model"
    shutil.copytree(policy_folder, model)
    damage(model)
    monkeypatch.setattr(tokenizer_module, "TEMPLATE_SECONDS", 0.2)
    settings = ["steps=1", "prompts=2", "completions=2", "audits=0", "max_tokens=4"]
    command = ["llm", "train", "--model", str(model), "--out", str(tmp_path / "run"), "--set"]
    assert main([*command, *settings]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (model / "EXECUTED").exists()
    assert not (tmp_path / "run" / "config.toml").exists(), "nothing to continue is left"

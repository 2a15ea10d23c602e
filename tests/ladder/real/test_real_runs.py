"""`make real` at a tiny size: an estimate first, lines at once, a record, and a second call."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from covlaw.ladder.real import judged
from covlaw.ladder.real.__main__ import PAGE, RECORD, main
from covlaw.ladder.real.settings import METHODS, jobs_of
from covlaw.llm.model.tokenizer import build_tokenizer
from covlaw.theory._numerics.errors import CovlawError

TINY = (
    *("prompts=2", "completions=4", "max_tokens=6", "train_layers=1", "dtype=float32"),
    *("audit_prompts=2", "audit_completions=4", "measured_completions=2", "learning_rate=1e-2"),
    *("temperature=1.0", "task_options.difficulty=digits"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = build_tokenizer(["0 1 2 3 4 5 6 7 8 9 + - = ? so"])
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 1}
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        num_key_value_heads=1,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROMPTS": 4, "HELD_OUT": 4, "EACH": 2, "COMPLETIONS": 4}.items():
        monkeypatch.setattr(judged, name, value)


def command(model: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--model", str(model), "--out", str(out), "--steps", "2", "--audits", "1"]
    return [*sizes, *more, "--set", *TINY]


@pytest.mark.usefixtures("small")
def test_it_ends_with_a_record_and_a_page_and_goes_on_from_there(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(model, tmp_path / "real")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "minutes here" in lines[2]  # before the first step
    assert sum(": step " in line for line in lines) == 4
    record = json.loads((tmp_path / "real" / RECORD).read_text(encoding="utf-8"))
    assert record["objectives"] == ["right", "ends", "thorough"]
    assert set(record["runs"]) == {"linear-seed0", "guarded-seed0"}
    assert record["runs"]["linear-seed0"]["guard"] is None
    guard = record["runs"]["guarded-seed0"]["guard"]
    assert all(len(guard[name]) == 3 for name in ("share", "before", "after"))
    assert sum(guard["share"]) <= 1 + 1e-9
    for run in record["runs"].values():
        for cell in run["held_out"].values():
            assert cell["low"] <= cell["mean"] <= cell["high"]
    page = (tmp_path / "real" / PAGE).read_text(encoding="utf-8")
    assert all(name in page for name in ("linear-seed0", "guarded-seed0", "thorough"))
    assert main(command(model, tmp_path / "real")) == 0
    assert ": step " not in capsys.readouterr().out  # nothing is done twice
    assert json.loads((tmp_path / "real" / RECORD).read_text(encoding="utf-8")) == record


def test_a_dry_run_says_how_long_and_writes_nothing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(model, tmp_path / "real", "--dry-run")) == 0
    assert "2 runs of 2 steps: about" in capsys.readouterr().out
    assert not (tmp_path / "real").exists()


def test_runs_go_seed_by_seed_and_unknown_ones_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [job.name for job in jobs_of(["linear", "mgda"], 2)] == [
        *("linear-seed0", "mgda-seed0"),
        *("linear-seed1", "mgda-seed1"),
    ]
    with pytest.raises(CovlawError, match="did you mean guarded"):
        jobs_of(["gaurded"], 1)
    assert main(["--methods", "gaurded"]) == 2
    assert "gaurded" in capsys.readouterr().err
    assert set(METHODS) == {"linear", "guarded", "ctwa-fast", "mgda"}

"""Base and runs are judged under the runs' own prompts and sampling, and timed as they train."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_kind

from covlaw.ladder.real import estimate, judged
from covlaw.ladder.real.estimate import measured_speed
from covlaw.ladder.real.judged import JUDGED, Judge, Sizes, base_samples
from covlaw.ladder.real.record import earlier
from covlaw.ladder.real.settings import jobs_of
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import NOT_INHERITED, EvalConfig
from covlaw.llm.model.policy import load_policy
from covlaw.records.real import FILE
from covlaw.theory._numerics.errors import CovlawError

RECORD = Path(__file__).parents[3] / "figures" / "data" / "real"
BASE = "0" * 63 + "1"
"""Stands for the digest of a base's files."""
SMALL = {"prompts": 2, "completions": 4, "max_tokens": 4, "train_layers": 1, "threads": 1}
OWN = {
    "chat_template": "{% for m in messages %}so {{ m.role }} {{ m.content }} :{% endfor %}",
    "system_prompt": "be brief",
    "max_prompt_tokens": 40,
    "reward_seconds": 9.0,
    "top_k": 5,
    "top_p": 0.9,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {n: write_kind(n, tmp_path_factory.mktemp(n)) for n in ("qwen", "gpt2")}


def config_of(model: Path | str, out: Path, **changes: Any) -> TrainConfig:
    return jobs_of(["linear"], 1)[0].config(out, {"model": str(model), **SMALL, **changes})


def test_every_setting_that_an_evaluation_shares_with_a_run_is_handed_on() -> None:
    both = {f.name for f in fields(TrainConfig)} & {f.name for f in fields(EvalConfig)}
    assert set(JUDGED) == both - {*NOT_INHERITED, "model"}


def test_the_base_is_judged_with_the_runs_template_and_system_prompt(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(folders["qwen"], tmp_path, **OWN)
    _, tokenizer = load_policy(config.model)
    so = tokenizer.convert_tokens_to_ids("so")
    drawn = base_samples(config, Sizes(2, 2)).drawn.completions
    texts = [
        tokenizer.decode(row[mask])
        for row, mask in zip(drawn.prompt_tokens, drawn.prompt_mask, strict=True)
    ]
    assert all(text.startswith("so") and "be brief" in text for text in texts)
    assert int(drawn.prompt_tokens[0][drawn.prompt_mask[0]][0]) == so
    asked: list[EvalConfig] = []

    def evaluate(given: EvalConfig) -> Any:
        asked.append(given)
        raise CovlawError("seen")

    monkeypatch.setattr(judged, "evaluate", evaluate)
    with pytest.raises(CovlawError, match="seen"):
        Judge(config, print, Sizes(2, 2)).of_base()
    assert {name: getattr(asked[0], name) for name in OWN} == OWN


def test_an_estimate_chooses_the_rows_of_a_pass_as_the_run_does(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured_speed(config_of(folders["qwen"], tmp_path, micro_batch=0)).draw > 0


def test_the_base_is_drawn_in_the_precision_that_it_is_read_in(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    config = config_of(folders["qwen"], tmp_path)
    assert config.sampling_dtype == "bfloat16"
    drawn, read = base_samples(config, Sizes(2, 8))
    own = drawn.completions.log_prob.double().sum(1)
    # four tokens a completion: float32 rounds each below 1e-5, a copy in bfloat16 by some 1e-2
    assert (own - read).abs().max() < 4e-5


@pytest.mark.parametrize("what", [measured_speed, base_samples])
def test_a_context_that_is_too_short_is_said_before_anything_is_drawn(
    what: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CovlawError, match=r"max_tokens is 60, and the model reads 48"):
        what(config_of(folders["gpt2"], tmp_path, max_tokens=60))


def test_adapters_are_timed_where_they_are_trained(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    timed: list[str] = []

    def accumulate(model: Any, *_: object) -> None:
        timed.extend(name for name, p in model.named_parameters() if p.requires_grad)

    monkeypatch.setattr(estimate, "accumulate", accumulate)
    measured_speed(config_of(folders["qwen"], tmp_path, train_layers=0, lora={"rank": 2}))
    assert timed
    assert all("lora_" in name for name in timed)


def recorded_config(out: Path, **changes: Any) -> TrainConfig:
    settings = {"steps": 40, "audits": 4, "threads": 1} | changes
    return jobs_of(["linear"], 1)[0].config(out, settings)


def test_the_committed_record_is_gone_on_with(tmp_path: Path) -> None:
    record = json.loads((RECORD / FILE).read_text(encoding="utf-8"))
    found = earlier(
        RECORD, recorded_config(tmp_path), Sizes(**record["sizes"]), record["base_sha256"]
    )
    assert found is not None
    assert found["base"] == record["base"]


@pytest.mark.parametrize(
    "change",
    [
        {"task_options.suffix": "Think."},
        {"task_options": {"difficulty": "digits"}},
        {"system_prompt": "be brief"},
        {"chat_template": "{{ messages[0].content }}"},
        {"top_k": 4},
        {"top_p": 0.5},
        {"sampling_dtype": "float32"},
        {"share_prompts": False},
        {"model": "base"},
    ],
    ids=str,
)
def test_the_base_of_other_settings_is_not_taken_over(
    change: dict[str, Any], tmp_path: Path
) -> None:
    record = json.loads((RECORD / FILE).read_text(encoding="utf-8"))
    sizes, base = Sizes(**record["sizes"]), record["base_sha256"]
    assert earlier(RECORD, recorded_config(tmp_path, **change), sizes, base) is None


def test_the_base_of_other_weights_is_not_taken_over(tmp_path: Path) -> None:
    record = json.loads((RECORD / FILE).read_text(encoding="utf-8"))
    (tmp_path / FILE).write_text(json.dumps(record | {"base_sha256": BASE}))
    config, sizes = recorded_config(tmp_path), Sizes(**record["sizes"])
    assert earlier(tmp_path, config, sizes, BASE) is not None
    assert earlier(tmp_path, config, sizes, BASE[::-1]) is None

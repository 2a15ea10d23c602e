"""Presets hold what they say; the paper's run on a tiny model and the real MATH-500 files."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from covlaw.ladder.cli import main
from covlaw.llm.config.preset_files import preset_names, read_preset
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.tasks import load_task
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError

REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("COVLAW_DATA") or REPOSITORY.parent / "shared" / "data") / "math500"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"MATH-500 is not at {DATA}")
PAPER = [name for name in preset_names() if name.startswith("paper-")]
TWO_STEPS = [
    name if name == "paper-ctwa" else pytest.param(name, marks=pytest.mark.slow) for name in PAPER
]
SMALL = (
    *("prompts=4", "completions=4", "observed=2", "max_tokens=24", "evaluate_every=2"),
    *("evaluate_prompts=4", "audits=1", "audit_prompts=4", "audit_completions=4"),
    "measured_completions=4",
)


def test_the_papers_eight_are_there() -> None:
    methods = ("ctwa", "linear", "mgda", "gradnorm", "lagrangian", "dynamic", "pama")
    assert set(PAPER) == {f"paper-{method}" for method in (*methods, "tchebycheff")}
    others = {"cpu-demo", "cpu-real", "gpu-8min", "gpu-1.5b", "gpu-base", "gpu-throughput"}
    second = {"paper2-qwen3", "paper2-instruct", "paper2-public-code"}
    assert others | second | set(PAPER) == set(preset_names())


def test_the_second_versions_models_and_the_public_codes_statistic() -> None:
    """The rest is the paper's CTWA run, gate and caps included, which are the default."""
    plain = TrainConfig.preset("paper-ctwa")
    qwen3, instruct = (TrainConfig.preset(f"paper2-{name}") for name in ("qwen3", "instruct"))
    assert qwen3 == plain.with_options(model="Qwen/Qwen3-1.7B-Base")
    assert instruct == plain.with_options(model="Qwen/Qwen2.5-1.5B-Instruct")
    public = TrainConfig.preset("paper2-public-code").make_scalarizer()
    assert public.reference
    assert public.gate.tolist() == plain.make_scalarizer().gate.tolist() == [1.0, 0.95, 0.95]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_its_line_is_short(name: str) -> None:
    assert TrainConfig.preset(name)
    assert "about" not in read_preset(name)
    assert 20 < len(preset_names()[name]) < 100


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_settings(name: str) -> None:
    config = TrainConfig.preset(name)
    assert config.scalarizer == name.removeprefix("paper-")
    assert (config.model, config.task) == ("Qwen/Qwen2.5-1.5B", "math500")
    assert (config.prompts, config.completions) == (32, 16)
    assert (config.max_prompt_tokens, config.max_tokens) == (1024, 1024)
    assert (config.learning_rate, config.warmup, config.data_epochs) == (1e-6, 0, 90)
    assert (config.kl_coefficient, config.kl_estimator) == (0.001, "k3")
    assert (config.algorithm, config.epochs, config.temperature) == ("reinforce++", 1, 1.0)
    clip = (1.0, 100.0, None) if name == "paper-ctwa" else (0.2, 0.2, None)
    assert (config.clip_low, config.clip_high, config.dual_clip or None) == clip


def test_the_papers_ctwa() -> None:
    config = TrainConfig.preset("paper-ctwa")
    wanted = {"target": [0.15, 0.08, 0.08], "step": 0.05, "ema": 0.1}
    assert config.options["ctwa"].items() >= wanted.items()
    overrides: dict[str, Any] = {"options.ctwa.target.clarity": 0.02}
    changed = TrainConfig.preset("paper-ctwa", **overrides)
    assert changed.options["ctwa"]["target"] == [0.15, 0.08, 0.02]


def test_values_by_objective_follow_the_names_not_the_order() -> None:
    settings = {"rewards": ["long=accuracy", "clarity"], "scalarizer": "linear"}
    weights = {"clarity": 1.0, "long": 3.0}
    config = TrainConfig.from_dict({**settings, "options": {"linear": {"weights": weights}}})
    assert config.options["linear"]["weights"] == [3.0, 1.0]
    assert config.make_scalarizer().weights.tolist() == [0.75, 0.25]
    for wrong, message in (
        ({"clarty": 1.0, "long": 1.0}, "did you mean clarity"),
        ({"accuracy": 1.0, "clarity": 1.0}, "unknown objective in options.linear.weights"),
        ({"long": 1.0}, "options.linear.weights has no value for clarity"),
    ):
        with pytest.raises(CovlawError, match=message):
            TrainConfig.from_dict({**settings, "options": {"linear": {"weights": wrong}}})


def test_a_preset_of_ones_own_builds_on_another(tmp_path: Path) -> None:
    (tmp_path / "shared.toml").write_text('base = "paper-ctwa"\nsteps = 7\ndata_epochs = 0\n')
    mine = tmp_path / "mine.toml"
    mine.write_text('base = "shared.toml"\nseed = 4\n[options.ctwa]\nema = 0.5\n')
    config = TrainConfig.preset(str(mine))
    assert (config.steps, config.seed, config.scalarizer) == (7, 4, "ctwa")
    assert config.options["ctwa"]["ema"] == 0.5
    assert config.options["ctwa"]["step"] == 0.05


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('base = "papr"', "unknown base of a preset 'papr': did you mean paper"),
        ('base = "mine.toml"', "builds on itself"),
        ("steps = ", "is not valid TOML"),
        ("stepz = 3", "did you mean steps"),
    ],
)
def test_a_broken_preset_is_named(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(CovlawError, match=message):
        TrainConfig.preset(str(file))


@pytest.fixture(scope="module")
def tiny_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2 with a byte-level BPE tokenizer trained on the prompts themselves."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    prompts = [problem.prompt for problem in load_task("math500", "train", path=str(DATA))]
    tokenizer.train_from_iterator(prompts, trainer)
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "padding_side": "left"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-qwen2")
    Qwen2ForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def run_two_steps(preset: str, model: Path, out: Path, *settings: str) -> list[dict[str, Any]]:
    chosen = (f"model={model}", f"task_path={DATA}", "device=cpu", "steps=2", "data_epochs=0")
    flags = [flag for setting in (*chosen, *settings) for flag in ("--set", setting)]
    assert main(["llm", "train", "--preset", preset, "--out", str(out), *flags]) == 0
    return list(read_lines(out / STEPS))


@needs_data
@pytest.mark.parametrize("preset", TWO_STEPS)
def test_two_steps_of_the_papers_run(preset: str, tiny_qwen2: Path, tmp_path: Path) -> None:
    steps = run_two_steps(preset, tiny_qwen2, tmp_path / "run", *SMALL)
    assert [step["step"] for step in steps] == [0, 1]
    assert steps[0]["objectives"] == ["accuracy", "conciseness", "clarity"]
    assert [bool(step["audits"]) for step in steps] == [True, False]
    assert (tmp_path / "run" / "model" / "config.json").exists()


@needs_data
@pytest.mark.slow
def test_two_steps_of_the_papers_batch(tiny_qwen2: Path, tmp_path: Path) -> None:
    """All 32 prompts with 20 completions each, 16 for the update and 4 observed."""
    short = ("max_tokens=32", "micro_batch=64", "audits=0", "evaluate_every=0", "dtype=float32")
    steps = run_two_steps("paper-ctwa", tiny_qwen2, tmp_path / "run", *short)
    assert [step["step"] for step in steps] == [0, 1]
    assert 32 * 20 * 16 < max(step["tokens"] for step in steps) <= 32 * 20 * 32

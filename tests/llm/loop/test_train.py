"""A run: its records follow the design, and however it is cut short, it ends the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import small_run
from transformers import AutoModelForCausalLM, AutoTokenizer

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.policy import load_tokenizer
from covlaw.llm.runs.checkpoint_manager import CheckpointManager, States
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError

STEP_KEYS = [
    *("schema", "step", "seed", "scalarizer", "objectives", "reward_mean", "reward_se", "weights"),
    *("length_mean", "clip_fraction_low", "clip_fraction_high", "kl_reference", "grad_norm"),
    *(
        "moved",
        "engine_log_prob_gap",
        "engine_log_prob_rms",
        "dead_groups",
        "truncated",
        "tokens",
        "audits",
    ),
]
FORECASTS = ("law", "clipped", "clipped_centred", "first_order", "exact_change", "measured")
BUDGET = ["f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt"]


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder, tmp_path / "run", scalarizer="ctwa", observed=4, epochs=2, checkpoint_every=2
    )


def contents(run: Path) -> dict[str, bytes]:
    """Everything of a run that must compare bit for bit."""
    files = [run / STEPS, *sorted((run / "audits").iterdir()), run / "model" / "model.safetensors"]
    return {str(f.relative_to(run)): f.read_bytes() for f in files}


def test_records_follow_the_design(config: TrainConfig) -> None:
    seen: list[int] = []
    run = train(config, lambda done, total, record: seen.append(done))
    steps = list(read_lines(run / STEPS))
    assert seen == [1, 2, 3, 4, 5]
    assert [s["step"] for s in steps] == list(range(5))
    assert all(list(s) == STEP_KEYS for s in steps)
    assert [bool(s["audits"]) for s in steps] == [True, False, False, False, True]
    independent, same = steps[0]["audits"]
    assert (independent["sample"], same["sample"]) == ("independent", "same")
    assert (independent["n_prompts"], independent["n_completions"]) == (5, 40)
    assert all(len(independent[f][part]) == 2 for f in FORECASTS for part in ("estimate", "se"))
    assert list(independent["budget"]) == BUDGET
    total = [sum(t[j] for t in independent["budget"].values()) for j in range(2)]
    # the terms telescope: seven sums of 40 float64 products of size < 1
    assert total == pytest.approx(independent["exact_change"]["estimate"], abs=1e-12)
    assert "NaN" not in (run / STEPS).read_text()
    assert (run / "model" / "tokenizer.json").exists()


def test_the_objectives_improve(config: TrainConfig) -> None:
    run = train(replace(config, scalarizer="linear", steps=25, audits=0, prompts=8, completions=16))
    means = [s["reward_mean"] for s in read_lines(run / STEPS)]
    for j in range(2):
        assert sum(m[j] for m in means[-5:]) > sum(m[j] for m in means[:5])


@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_a_killed_run_ends_as_an_unbroken_one(
    config: TrainConfig, tmp_path: Path, killed_after: int
) -> None:
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))

    def kill(done: int, total: int, record: dict) -> None:
        if done == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, kill)
    with (Path(config.out) / STEPS).open("a") as file:
        file.write('{"step": 99, "cut')  # a line the kill cut short
    assert contents(train(config)) == contents(unbroken)


@pytest.mark.parametrize("moment", ["save", "save_model"])
def test_a_run_killed_while_it_saves_ends_as_an_unbroken_one(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """After the line in steps.jsonl, with files of the checkpoint or the model half written."""
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", kill)
        if moment == "save_model":
            patch.setattr(CheckpointManager, "save", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert contents(train(config)) == contents(unbroken)


def test_a_finished_run_is_left_alone(config: TrainConfig) -> None:
    short_run = replace(config, steps=2, audits=0)
    run = train(short_run)
    before = (run / STEPS).stat().st_mtime_ns
    train(short_run)
    assert (run / STEPS).stat().st_mtime_ns == before
    with pytest.raises(CovlawError, match="holds another run: seed"):
        train(replace(short_run, seed=1))


def test_different_seeds_differ_and_audits_do_not_disturb(
    config: TrainConfig, tmp_path: Path
) -> None:
    audited = list(read_lines(train(config) / STEPS))
    silent = list(read_lines(train(replace(config, out=str(tmp_path / "a"), audits=0)) / STEPS))
    other = list(read_lines(train(replace(config, out=str(tmp_path / "b"), seed=1)) / STEPS))
    for a, s in zip(audited, silent, strict=True):
        assert {k: v for k, v in a.items() if k != "audits"} == {
            k: v for k, v in s.items() if k != "audits"
        }
    assert audited[0]["reward_mean"] != other[0]["reward_mean"]


def test_a_bad_reward_is_named_and_nothing_is_lost(config: TrainConfig) -> None:
    names = ("own_rewards:digits", "own_rewards:broken")
    with pytest.raises(CovlawError, match=r"own_rewards:broken.*nan on completion"):
        train(replace(config, rewards=names))
    assert (Path(config.out) / "config.toml").exists()


def test_a_folder_in_use_is_refused(config: TrainConfig) -> None:
    def again(done: int, total: int, record: dict) -> None:
        train(config)

    with pytest.raises(CovlawError, match="another process is at work in"):
        train(config, again)
    assert train(config, None) == Path(config.out)


def test_an_unknown_reward_leaves_no_folder(config: TrainConfig) -> None:
    with pytest.raises(CovlawError, match="did you mean accuracy"):
        train(replace(config, rewards=("acuracy", "clarity")))
    assert not Path(config.out).exists()


def test_a_diverged_policy_stops_the_run_and_keeps_its_records(config: TrainConfig) -> None:
    with pytest.raises(CovlawError, match="the policy has diverged; lower learning_rate"):
        train(replace(config, learning_rate=1e30, audits=0))
    steps = list(read_lines(Path(config.out) / STEPS))
    assert all(step["grad_norm"] is not None for step in steps)


def test_a_finished_model_is_a_plain_hugging_face_folder(config: TrainConfig) -> None:
    run = train(replace(config, steps=2, audits=0))
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    saved = load_file(run / "checkpoints" / "step-000002" / "model.safetensors")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, saved[name])
    inputs = tokenizer("1 + 2 = ?", return_tensors="pt")
    assert inputs["input_ids"].tolist() == load_tokenizer(config.model)(["1 + 2 = ?"])["input_ids"]
    tokens = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert tokens[0, :5].tolist() == inputs["input_ids"][0].tolist()


def test_a_run_of_before_some_settings_existed_continues(config: TrainConfig) -> None:
    """Their defaults are what it did; a setting that is no more, or has another value, is named."""
    short = replace(config, steps=2, audits=0)
    run = train(short)
    lines = (run / "config.toml").read_text().splitlines()
    young = ("data_order", "data_epochs", "evaluate_", "keep_checkpoints", "tensorboard")
    old = "\n".join(line for line in lines if not line.startswith(young))
    (run / "config.toml").write_text(old)
    assert train(short) == run
    with pytest.raises(CovlawError, match="holds another run: data_order is 'random' there"):
        train(replace(short, data_order="epochs"))
    (run / "config.toml").write_text("momentum = 0.9\n" + old)
    with pytest.raises(CovlawError, match=r"this version cannot continue .*momentum"):
        train(short)


def test_settings_that_no_record_depends_on_may_change(config: TrainConfig, tmp_path: Path) -> None:
    run = train(replace(config, steps=2, audits=0))
    moved = run.rename(tmp_path / "elsewhere")
    changed = replace(config, out=str(moved), steps=2, audits=0, keep_checkpoints=5)
    assert train(replace(changed, checkpoint_every=1)) == moved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_run_on_cuda_is_recorded_as_on_the_cpu(config: TrainConfig) -> None:
    run = train(replace(config, device="cuda"))
    assert all(list(s) == STEP_KEYS for s in read_lines(run / STEPS))


def test_bad_input_is_refused_before_work(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="device 'gpu' cannot be used"):
        train(replace(config, device="gpu"))
    left = [path.name for path in Path(config.out).iterdir()]
    assert left == [".lock"]  # the same folder will do once it is mended
    with pytest.raises(CovlawError, match="cannot load the model"):
        train(replace(config, model=str(tmp_path / "nowhere"), out=str(tmp_path / "y")))
    with pytest.raises(CovlawError, match="arithmetic"):
        train(replace(config, out=str(tmp_path / "x"), task="aritmetic"))


def test_every_step_of_the_batch_is_observed_apart(config: TrainConfig) -> None:
    """The rows that the scalarizer observes took no part in the update."""
    trainer = Trainer(config)
    drawn, _ = trainer._draw(0, States(None, None))  # type: ignore[arg-type]
    made, observed, _ = trainer._split(0, drawn)
    assert observed is not None
    assert len(made.completions.text) == config.prompts * config.completions
    assert len(observed.completions.text) == config.prompts * config.observed
    for part, count in ((made, config.completions), (observed, config.observed)):
        assert torch.equal(part.completions.prompt, torch.arange(4).repeat_interleave(count))


def test_config_is_recorded(config: TrainConfig) -> None:
    run = train(replace(config, steps=1, audits=0))
    environment = json.loads((run / "environment.json").read_text())
    assert environment["threads"] == 1
    assert environment["device"] == "cpu"
    assert "torch" in environment["packages"]

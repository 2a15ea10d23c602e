"""The plan of a run: its counts are those of the run, its memory that of the model."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import NAMED, small_run
from transformers import AutoModelForCausalLM

from covlaw.ladder.cli import main
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan import fitting
from covlaw.llm.plan.fitting import fitting_rows, memory_of, require_memory
from covlaw.llm.plan.learning_rate import rate_trap
from covlaw.llm.plan.memory import Memory, audit_copies, estimate_memory
from covlaw.llm.plan.size import ModelSize, size_of
from covlaw.llm.plan.train_plan import make_plan
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_config, read_lines
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=NAMED,
        scalarizer="ctwa",
        steps=3,
        observed=2,
        audit_prompts=4,
        audit_completions=4,
        measured_completions=4,
    )


def test_its_counts_are_those_of_the_run(config: TrainConfig) -> None:
    plan = make_plan(config)
    assert not Path(config.out).exists()
    steps = list(read_lines(train(config) / STEPS))
    assert plan.steps == len(steps)
    assert plan.audits == tuple(s["step"] for s in steps if s["audits"])
    assert plan.work.completions == 4 * (6 + 2)
    assert plan.work.step_tokens == 4 * 8 * 6
    assert all(s["tokens"] <= plan.work.step_tokens for s in steps)
    assert plan.work.tokens == 3 * plan.work.step_tokens
    assert plan.work.audit_tokens == 4 * 2 * (4 + 4) * 6
    assert make_plan(config).continues


def test_passes_over_the_data_become_steps(config: TrainConfig) -> None:
    plan = make_plan(replace(config, steps=0, data_epochs=3, data_order="epochs"))
    assert plan.steps == 3 * (90 // 4)


def test_audits_share_falls_with_their_number(config: TrainConfig) -> None:
    shares = [make_plan(replace(config, audits=n)).work.audit_share for n in (0, 1, 2)]
    assert shares[0] == 0 < shares[1] < shares[2] < 1


def test_a_local_models_size_is_its_own(policy_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(policy_folder)
    size = size_of(str(policy_folder))
    assert size is not None
    assert size.parameters == sum(p.numel() for p in model.parameters())
    assert (size.layers, size.width, size.cached) == (1, 32, 2 * 32)


def test_a_named_base_models_size_is_known_before_it_is_trained() -> None:
    small, large = size_of("base"), size_of("base::products")
    assert small is not None
    assert large is not None
    assert small.parameters < large.parameters


@pytest.mark.parametrize(
    ("name", "count"),
    [("org/Some-Model-1.5B", 1.5e9), ("x/y-360M-instruct", 3.6e8), ("v2.5-7b-chat", 7e9)],
)
def test_a_name_tells_the_size(name: str, count: float) -> None:
    size = size_of(name)
    assert size is not None
    assert size.parameters == count
    assert size.layers is None


def test_a_name_without_a_size_tells_nothing() -> None:
    assert size_of("org/gpt-best") is None


def test_memory_follows_the_formulas(config: TrainConfig) -> None:
    size = ModelSize(1000, layers=3, width=8, cached=16, vocabulary=50)
    memory = estimate_memory(replace(config, audits=0, max_prompt_tokens=4), size, 99)
    assert (memory.weights, memory.gradients, memory.optimiser) == (4000, 4000, 8000)
    tokens = 4 + 6
    assert memory.activations == 256 * tokens * 8 * 34 * 2 * 3
    assert memory.logits == 2 * 4 * 256 * 6 * 50
    assert memory.cache == 32 * tokens * 3 * 16 * 4
    more = estimate_memory(replace(config, kl_coefficient=0.1), size, 4)
    assert more.weights == 2 * memory.weights
    assert memory.audit == 0
    assert more.audit == 7 * memory.weights
    inner = replace(config, epochs=2, mini_batches=3, audit_gramian=True)
    assert audit_copies(replace(config, audit="light", epochs=2)) == 2 * 2 + 2
    assert audit_copies(inner) == 4 * 6 + 3 + 2
    assert more.known == memory.known + (1 + 7) * memory.weights - _passing(memory, more)
    less = estimate_memory(replace(config, gradient_checkpointing=True), size, 4)
    assert less.activations is not None
    full = estimate_memory(config, size, 4).activations
    assert full is not None
    assert less.activations < full


def test_a_copy_that_samples_in_bfloat16_is_counted(config: TrainConfig) -> None:
    size = ModelSize(1000, layers=3, width=8, cached=16, vocabulary=50)
    plain, half = (
        estimate_memory(replace(config, sampling_dtype=dtype), size, 4)
        for dtype in ("float32", "bfloat16")
    )
    assert half.weights == plain.weights + 2 * 1000
    assert half.known == plain.known + 2 * 1000
    last = replace(config, train_layers=1)
    casts = estimate_memory(replace(last, dtype="bfloat16"), size, 4)
    assert casts.weights == plain.weights + 2 * (1000 - 1000 // 3)
    both = replace(last, dtype="bfloat16", sampling_dtype="bfloat16")  # frozen copies are shared
    assert estimate_memory(both, size, 4).weights == half.weights
    elsewhere = replace(config, sampling_dtype="bfloat16", engine="vllm")
    assert estimate_memory(elsewhere, size, 4).weights == plain.weights


def test_what_does_not_fit_is_said_with_the_rows_that_would(config: TrainConfig) -> None:
    there = memory_of("cpu")
    size = ModelSize(1000, layers=10, width=there // 10**6, cached=1, vocabulary=50)
    plain = replace(config, audits=0, completions=2, observed=2, max_tokens=10)
    said = require_memory(plain, size, 10)
    rows = int(re.findall(r"set micro_batch to (\d+),", said)[0])
    assert rows == fitting_rows(plain, size, 10)
    needs = [
        estimate_memory(replace(plain, micro_batch=n), size, 10).known for n in (rows, 2 * rows)
    ]
    assert needs[0] <= 0.6 * there < needs[1]
    assert require_memory(replace(plain, micro_batch=rows), size, 10) == ""


def test_a_micro_batch_of_0_is_chosen_recorded_and_kept(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "memory_of", lambda device: 2**21)
    monkeypatch.setattr(fitting, "OVER", 1000)
    chosen = make_plan(replace(config, micro_batch=0)).config.micro_batch
    assert 1 <= chosen < 256
    run = train(replace(config, micro_batch=0, steps=1))
    assert read_config(run)["micro_batch"] == chosen
    monkeypatch.setattr(fitting, "memory_of", lambda device: 2**40)
    assert make_plan(replace(config, micro_batch=0, out="elsewhere")).config.micro_batch == 256
    assert read_config(train(replace(config, micro_batch=0)))["micro_batch"] == chosen


def test_rewards_that_want_a_box_nobody_asks_for_are_a_note(config: TrainConfig) -> None:
    boxed = replace(config, rewards=("accuracy", "own_rewards:brief"))

    def noted(**settings: object) -> bool:
        notes = make_plan(replace(boxed, **settings)).notes  # type: ignore[arg-type]
        return any("without which accuracy is 0" in note for note in notes)

    assert noted()
    assert not noted(task_options={"suffix": r" Answer in \\boxed{}."})
    assert not noted(system_prompt=r"Answer in \\boxed{}.")
    assert not noted(rewards=("own_rewards:brief",))
    assert not noted(model="base")


@pytest.mark.parametrize(
    ("parameters", "rate", "said"),
    [
        (134_515_008, 2e-5, True),
        (134_515_008, 3e-6, False),
        (1.5e9, 1e-6, False),
        (5e5, 2e-4, False),
    ],
)
def test_a_rate_that_is_too_high_for_the_size_is_said(
    parameters: float, rate: float, said: bool
) -> None:
    assert bool(rate_trap(rate, int(parameters))) == said


def _passing(before: Memory, after: Memory) -> int:
    """What the passes need less where a prompt is shorter: nothing of it is held."""

    def own(memory: Memory) -> int:
        return max((memory.activations or 0) + (memory.logits or 0), memory.cache or 0)

    return own(before) - own(after)


BAD = [
    ({"model": "no/such/folder"}, "is no folder here and no hub id"),
    ({"model": "base:alined"}, "did you mean aligned"),
    ({"rewards": ("clarty", "accuracy")}, "did you mean clarity"),
    ({"task": "math500"}, "needs a path"),
    ({"task": "jsonl", "task_path": "/no/where.jsonl"}, "no folder or file"),
    ({"out": f"{__file__}/run"}, "is no folder that can be written"),
    ({"prompts": 91, "steps": 0, "data_epochs": 1}, "lower prompts"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_what_would_stop_the_run_is_found(
    config: TrainConfig, settings: dict, message: str
) -> None:
    with pytest.raises(CovlawError, match=re.escape(message)):
        make_plan(replace(config, **settings))


def test_a_folder_with_another_run_is_refused(config: TrainConfig) -> None:
    train(replace(config, steps=1, audits=0))
    with pytest.raises(CovlawError, match="holds another run"):
        make_plan(replace(config, seed=5))


def test_the_command_prints_it_and_leaves_nothing(
    tmp_path: Path, policy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = ["--set", "steps=7", "--set", f"model={policy_folder}", "--set", "audits=2"]
    assert main(["llm", "train", "--dry-run", "--out", str(out), *settings]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("(new)", "steps 7", "audits 2, at steps 0, 6;", "memory about", "90 training"):
        assert part in shown
    assert not out.exists()


def test_a_device_that_is_missing_here_is_a_note(config: TrainConfig) -> None:
    notes = make_plan(replace(config, device="cuda")).notes
    assert any("'cuda' is not available" in note for note in notes) != torch.cuda.is_available()


def test_a_plan_says_that_no_answer_has_a_number(config: TrainConfig, tmp_path: Path) -> None:
    rewards = ("correct=right", "own_rewards:brief")
    said = "no reference answer of the task has a number in it, so that correct is 0"

    def notes(*answers: str) -> str:
        rows = [{"prompt": f"why {k} ?", "answer": a} for k, a in enumerate(answers)]
        file = tmp_path / "train.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        own = replace(config, rewards=rewards, task="jsonl", task_path=str(tmp_path))
        return " ".join(make_plan(own).notes)

    assert said in notes("because", "so", "x", "never", "Paris")
    assert said not in notes("because", "so", "about 12 days", "never", "Paris")
    assert said not in " ".join(make_plan(replace(config, rewards=rewards)).notes)

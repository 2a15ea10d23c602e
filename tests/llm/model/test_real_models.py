"""What a pretrained chat model needs, on tiny ones of four kinds: prompts, ends and context."""

import json
import math
from pathlib import Path

import pytest
import torch
from small_runs import small_run
from tiny_models import CONTEXT, KINDS, write_kind

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import evaluate
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.context import context_length
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.tokenizer import prompt_ids
from covlaw.llm.plan.train_plan import make_plan
from covlaw.llm.sampling.prompts import load_split
from covlaw.llm.train import train
from covlaw.records.runs import SAMPLES, STEPS, read_lines, recorded_inputs
from covlaw.theory._numerics.errors import CovlawError

SYSTEM = "be brief"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write_kind(name, tmp_path_factory.mktemp(name)) for name in KINDS}


def config_of(folder: Path, out: Path, **settings: object) -> TrainConfig:
    return small_run(folder, out, rewards=("own_rewards:digits", "own_rewards:brief"), **settings)


@pytest.mark.parametrize("kind", ["llama", "qwen", "gpt2"])
def test_a_system_prompt_is_a_turn_of_its_own(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    trainer = Trainer(config_of(folders[kind], tmp_path / "run", system_prompt=SYSTEM))
    asked = {p.prompt for p in load_split(trainer.config, "train")}
    for problem in trainer.dynamic.problems:
        assert problem.asked in asked
        if KINDS[kind].template is None:
            assert problem.prompt == f"{SYSTEM}\n\n{problem.asked}"
            continue
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": problem.asked}]
        own = trainer.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_dict=False
        )
        assert prompt_ids(trainer.tokenizer, [problem.prompt]) == [own]


def test_a_template_without_system_turns_is_named_before_work(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CovlawError, match=r"refuses turns of system, user \(no system\)"):
        train(config_of(folders["gemma"], tmp_path / "run", system_prompt=SYSTEM))
    assert not (tmp_path / "run" / "config.toml").exists()


def test_two_system_turns_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "1 + 1"}]
    rows = [{"prompt": turns, "answer": "2"}] * 5
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"task": "jsonl", "task_path": str(tmp_path), "system_prompt": SYSTEM}
    with pytest.raises(CovlawError, match=r"system_prompt is set, and prompt .* of its own"):
        train(config_of(folders["llama"], tmp_path / "run", **settings))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_template_of_ones_own_is_used_recorded_and_kept(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    template = "{% for m in messages %}so {{ m.content }} :{% endfor %}"
    file = tmp_path / "mine.jinja"
    file.write_text(template)
    run = train(
        config_of(folders[kind], tmp_path / "run", chat_template=str(file), steps=1, audits=0)
    )
    sample = json.loads((run / "samples.jsonl").read_text().splitlines()[0])["samples"][0]
    assert sample["prompt"].startswith("so ")
    assert sample["prompt"].endswith(" :")
    file.unlink()  # the record holds its text
    again = EvalConfig.of(str(run), {"limit": 3, "completions": 2})
    assert again.chat_template == template
    assert load_policy(str(run / "model"))[1].chat_template == template
    evaluate(again)
    with pytest.raises(CovlawError, match=r"mine\.jinja' cannot be read"):
        config_of(folders[kind], tmp_path / "other", chat_template=str(file))


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_end_is_part_of_the_record(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    run = train(config_of(folders[kind], tmp_path / "run", steps=1, audits=0))
    tokenizer = load_policy(str(folders[kind]))[1]
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<turn>")]
    assert recorded_inputs(run)["end tokens"] == " ".join(map(str, ends))


def test_a_run_is_not_continued_with_other_ends(tmp_path: Path) -> None:
    model = write_kind("qwen", tmp_path / "model")
    config = config_of(model, tmp_path / "run", steps=1, audits=0)
    train(config)
    told = model / "generation_config.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"eos_token_id": [1]}))
    with pytest.raises(CovlawError, match="end tokens changed since the run"):
        train(config.with_options(steps=2))


@pytest.mark.parametrize("kind", list(KINDS))
def test_prompt_and_completion_must_fit_the_context(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    model, tokenizer = load_policy(str(folders[kind]))
    assert context_length(model.config) == CONTEXT
    fitting = config_of(folders[kind], tmp_path / "run", steps=1, audits=0)
    longest = max(len(ids) for ids in prompt_ids(tokenizer, _prompts(fitting)))
    train(fitting.with_options(max_tokens=CONTEXT - longest))
    over = fitting.with_options(max_tokens=CONTEXT - longest + 1, out=str(tmp_path / "over"))
    said = rf"longest prompt has {longest} tokens .* reads {CONTEXT} at most: set max_prompt_tokens"
    with pytest.raises(CovlawError, match=said):
        train(over)
    assert not (tmp_path / "over" / "config.toml").exists()
    with pytest.raises(CovlawError, match=said):
        evaluate(EvalConfig(model=str(folders[kind]), max_tokens=over.max_tokens, limit=2))
    with pytest.raises(CovlawError, match=f"reads {CONTEXT} at most: lower max_tokens"):
        make_plan(fitting.with_options(max_tokens=CONTEXT, out=str(tmp_path / "plan")))


MINE = """
async def talk(prompts, completions, level, **columns):
    asked = [p if isinstance(p, str) else p[-1]["content"] for p in prompts]
    said = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [None if n else len(set(a) & set(b)) / 9 for a, b, n in zip(asked, said, level)]
"""


@pytest.mark.parametrize("kind", list(KINDS))
def test_one_run_of_each_kind_shows_all_that_is_said_and_recorded(
    kind: str, folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Turns, an instruction, TRL's signature, silence on every third prompt, a flat reward."""
    turns = [[{"role": "user", "content": f"{a} + {b} ="}] for a in range(1, 7) for b in range(4)]
    rows = [{"prompt": t, "answer": "3", "level": int(k % 3 == 0)} for k, t in enumerate(turns)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.py").write_text(MINE)
    config = small_run(
        folders[kind],
        tmp_path / "run",
        task="jsonl",
        task_path=str(tmp_path),
        task_options={"suffix": " ? answer in a box"},
        rewards=(f"talk={tmp_path}/mine.py:talk", "own_rewards:digits", "flat=clarity"),
        prompts=8,
        steps=1,
        audits=1,
        micro_batch=0,
    )
    run = train(config)
    (step,) = read_lines(run / STEPS)
    assert step["no_opinion"]["talk"]["completions"] == 6 * step["no_opinion"]["talk"]["prompts"]
    assert step["no_opinion"]["talk"]["prompts"] > 0
    assert 0 < step["reward_mean"][0] < 1
    assert 0 < step["moved"]["kl"] < step["moved"]["largest"]
    assert 0 <= step["engine_log_prob_rms"] <= step["engine_log_prob_gap"] < 1e-3
    assert step["dead_groups"]["flat"] == 1
    assert "reward 'flat' is 0 on all 48 completions of the first batch" in caplog.text
    sample = json.loads((run / SAMPLES).read_text().splitlines()[0])["samples"][0]
    assert "? answer in a box" in sample["prompt"]
    exact, measured = (step["audits"][0][name]["estimate"] for name in ("exact_change", "measured"))
    assert len(exact) == len(measured) == 3
    assert exact[2] == measured[2] == 0


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_last_layer_that_leaps_is_planned_for_and_said(
    kind: str, folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The settings of a real model's step: what is trained, shared, rounded; how far it goes."""
    config = config_of(
        folders[kind],
        tmp_path / "run",
        train_layers=1,
        share_prompts=True,
        sampling_dtype="bfloat16",
        learning_rate=3.0,
        steps=2,
        audits=0,
    )
    whole = config.with_options(train_layers=0)
    few, all_of_it = (
        make_plan(c.with_options(out=str(tmp_path / "plan"))) for c in (config, whole)
    )
    memory, most = few.memory, all_of_it.memory
    assert 0 < memory.gradients < most.gradients
    assert 0 < memory.known < most.known
    run = train(config)
    first, second = read_lines(run / STEPS)
    assert first["moved"]["largest"] > math.log(1000)
    assert caplog.text.count("changed the probability of a completion of its own batch") == 1
    assert caplog.text.count("usually takes about") == 1
    assert 0 < second["engine_log_prob_rms"] <= second["engine_log_prob_gap"]
    old, new = (
        load_policy(str(folder))[0].state_dict() for folder in (folders[kind], run / "model")
    )
    moved = {name for name, value in old.items() if not torch.equal(value, new[name])}
    assert moved
    assert not any("layers.0." in name or "h.0." in name or "wpe" in name for name in moved)


def _prompts(config: TrainConfig) -> list[str]:
    return [problem.prompt for problem in Trainer(config).dynamic.problems]

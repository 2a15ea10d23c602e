"""Adapters alone: training, audits, derivatives, guard and checkpoints, on models of four kinds."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_runs import small_run
from tiny_models import KINDS, write_kind

from covlaw.ladder.commands.llm.plan import plan_rows
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import evaluate
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.model.adapters import adapted, completed_lora, plain_weights
from covlaw.llm.model.log_prob import directional_log_prob, sequence_log_prob
from covlaw.llm.model.output_head import output_head
from covlaw.llm.model.parameters import copy_of, count_of, load, trainable
from covlaw.llm.model.policy import load_policy
from covlaw.llm.plan.train_plan import make_plan
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_config, read_lines
from covlaw.theory._numerics.errors import CovlawError

pytest.importorskip("peft")
REWARDS = ("own_rewards:digits", "own_rewards:brief")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write_kind(name, tmp_path_factory.mktemp(name)) for name in KINDS}


def config_of(folder: Path, out: Path, **settings: Any) -> TrainConfig:
    usual = {"lora": {"rank": 2}, "rewards": REWARDS, "steps": 2, "learning_rate": 5e-3}
    return small_run(folder, out, **{**usual, **settings})


def with_adapters(folder: Path, moved: float = 0.0) -> tuple[Any, Any]:
    """A model whose adapters have been moved at random."""
    model, tokenizer = load_policy(str(folder))
    model = adapted(model, completed_lora({"rank": 2}), seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in trainable(model).values():
            p += moved * torch.randn(p.shape, generator=generator)
    return model, tokenizer


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_guarded_audited_run_moves_and_keeps_adapters_alone(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    config = config_of(folders[kind], tmp_path / "run", guard="on", scalarizer="mgda", audits=2)
    run = train(config)
    steps = list(read_lines(run / STEPS))
    for step in steps:
        change = step["audits"][0]["exact_change"]["estimate"]
        assert any(abs(value) > 0 for value in change)
        assert step["moved"]["log_ratio"] > 0
        assert step["guard"]["refused"] is not None
    kept = load_file(run / "checkpoints" / "step-000002" / "model.safetensors")
    assert kept
    assert all(".lora_" in name for name in kept)
    files = {path.name for path in (run / "model").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= files
    assert not {"model.safetensors", "config.json"} & files
    assert read_config(run)["lora"] == {"rank": 2, "alpha": 16.0, "targets": ["all-linear"]}


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_finished_folder_is_the_policy(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Its adapters, added to the base's weights by us and by PEFT, give the same log-probs."""
    run = train(config_of(folders[kind], tmp_path / "run", audits=0))
    model, tokenizer = load_policy(str(folders[kind]))
    model = adapted(model, completed_lora({"rank": 2}), seed=0)
    load(model, load_file(run / "checkpoints" / "step-000002" / "model.safetensors"))
    again, _ = load_policy(str(run / "model"))
    assert "peft_config" not in dir(again)
    drawn = TransformersEngine(model, tokenizer).sample(["1 + 2 = ?"], 8, 6, 1.0, None)
    old, _ = load_policy(str(folders[kind]))
    mine, its, before = (sequence_log_prob(m, drawn) for m in (model, again, old))
    torch.testing.assert_close(mine, its, atol=1e-4, rtol=0)  # six float32 tokens
    assert (mine - before).abs().max() > 1e-2
    evaluate(EvalConfig.of(str(run), {"limit": 3, "completions": 2}))
    assert make_plan(config_of(run / "model", tmp_path / "next", lora={})).size is not None


def test_a_killed_run_goes_on_bit_for_bit(folders: dict[str, Path], tmp_path: Path) -> None:
    settings = {"steps": 3, "checkpoint_every": 1, "audits": 0}
    whole = train(config_of(folders["qwen"], tmp_path / "whole", **settings))

    def kill(done: int, total: int, record: dict[str, Any]) -> None:
        if done == 1:
            raise KeyboardInterrupt

    broken = config_of(folders["qwen"], tmp_path / "broken", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(broken, kill)
    assert (train(broken) / STEPS).read_bytes() == (whole / STEPS).read_bytes()
    assert train(broken) == tmp_path / "broken"  # finished: nothing to do


@pytest.mark.parametrize("kind", list(KINDS))
def test_derivatives_along_adapters_are_those_of_differences(
    kind: str, folders: dict[str, Path]
) -> None:
    model, tokenizer = with_adapters(folders[kind], moved=0.1)
    drawn = TransformersEngine(model, tokenizer).sample(["1 + 2 = ?", "3 -"], 4, 6, 1.0, None)
    generator = torch.Generator().manual_seed(2)
    own = copy_of(model)
    direction = {n: 0.1 * torch.randn(p.shape, generator=generator) for n, p in own.items()}
    slope = directional_log_prob(model, drawn, direction)
    ends = []
    for side in (1e-3, -1e-3):
        load(model, {n: own[n] + side * direction[n] for n in own})
        ends.append(sequence_log_prob(model, drawn))
    # six float32 log-probs err by about 1e-5 together, and 2e-3 divides that
    torch.testing.assert_close(slope, (ends[0] - ends[1]) / 2e-3, atol=0.01, rtol=0.005)
    assert slope.abs().max() > 0.1


@pytest.mark.parametrize("kind", ["llama", "qwen", "gpt2"])
def test_the_head_of_a_wrapped_model_is_found(kind: str, folders: dict[str, Path]) -> None:
    model, _ = with_adapters(folders[kind], moved=0.1)
    halves = output_head(model)
    assert halves is not None
    tokens = torch.arange(6)[None]
    hidden = halves.body(input_ids=tokens, use_cache=False).last_hidden_state
    logits = model(input_ids=tokens, use_cache=False).logits
    torch.testing.assert_close(halves.head(hidden), logits)


def test_a_capped_head_stays_none_under_adapters(folders: dict[str, Path]) -> None:
    assert output_head(with_adapters(folders["gemma"])[0]) is None


@pytest.mark.parametrize("kind", list(KINDS))
def test_engines_get_plain_weights(kind: str, folders: dict[str, Path]) -> None:
    model, _ = with_adapters(folders[kind], moved=0.1)
    before = copy_of(model)
    mine = dict(plain_weights(model))
    assert all(torch.equal(before[n], p) for n, p in copy_of(model).items())
    plain, _ = load_policy(str(folders[kind]))
    assert mine.keys() == plain.state_dict().keys()
    plain.load_state_dict(mine)
    tokens = torch.arange(6)[None]
    torch.testing.assert_close(plain(tokens).logits, model(tokens).logits, atol=1e-4, rtol=1e-4)
    untouched = load_policy(str(folders[kind]))[0](tokens).logits
    assert (untouched - model(tokens).logits).abs().max() > 1e-2


def test_the_start_is_the_base_and_the_seed_decides(folders: dict[str, Path]) -> None:
    plain, _ = load_policy(str(folders["llama"]))
    tokens = torch.arange(6)[None]
    expected = plain(tokens).logits
    one, same, other = (
        adapted(load_policy(str(folders["llama"]))[0], completed_lora({"rank": 2}), seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one(tokens).logits, expected)
    first = [next(iter(copy_of(m).values())) for m in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert count_of(one) < count_of(plain)


def test_gramians_are_of_the_adapters(folders: dict[str, Path], tmp_path: Path) -> None:
    model, tokenizer = with_adapters(folders["llama"], moved=0.1)
    drawn = TransformersEngine(model, tokenizer).sample(["1 + 2 = ?"], 6, 6, 1.0, None)
    rewards = torch.rand(6, 2, dtype=torch.float64)
    found = policy_gramian(model, drawn, rewards, config_of(folders["llama"], tmp_path))
    assert found.shape == (2, 2)
    assert float(torch.linalg.eigvalsh(found)[0]) > 0


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"rnk": 2}, "did you mean rank"),
        ({"rank": 0}, "rank is 0: use a whole number"),
        ({"alpha": 0.0}, "alpha is 0.0: use a finite value > 0"),
        ({"targets": []}, "lora.targets is"),
        ("rank=2", "use a table"),
    ],
)
def test_mistakes_are_named(lora: Any, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        TrainConfig(lora=lora)


def test_adapters_and_last_layers_exclude_each_other() -> None:
    with pytest.raises(CovlawError, match="lora is on and train_layers is 1"):
        TrainConfig(lora={"rank": 2}, train_layers=1)


def test_targets_that_no_layer_has_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    lora = {"targets": ["no_proj"]}
    with pytest.raises(CovlawError, match=r"lora\.targets \['no_proj'\] do not fit the model"):
        train(config_of(folders["llama"], tmp_path / "run", lora=lora))


def test_the_plan_says_what_is_trained_and_needs_less(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """The tiny model's layers are no usual decoder's: the estimate is that of one, within twice."""
    plain = make_plan(config_of(folders["llama"], tmp_path / "run", lora={}))
    plan = make_plan(config_of(folders["llama"], tmp_path / "run"))
    model, _ = with_adapters(folders["llama"])
    assert plan.trained is not None
    assert 0.5 < plan.trained / count_of(model) < 2
    assert plan.memory is not None
    assert plain.memory is not None
    assert plan.memory.optimiser == 8 * plan.trained < plain.memory.optimiser
    assert plan.memory.audit < plain.memory.audit
    assert "about" in dict(plan_rows(plan))["adapters"]


def test_some_layers_will_do(folders: dict[str, Path]) -> None:
    for kind, folder in folders.items():
        lora = completed_lora({"targets": [KINDS[kind].layer]})
        model = adapted(load_policy(str(folder))[0], lora, 0)
        assert all(KINDS[kind].layer in name for name in trainable(model))


def test_a_folder_that_names_no_base_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": None}))
    with pytest.raises(CovlawError, match="does not say what model it is for"):
        load_policy(str(tmp_path))

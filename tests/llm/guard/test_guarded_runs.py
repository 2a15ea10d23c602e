"""Guarded runs: what they record, however they are cut short, and on however many processes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranked import Ranked
from safetensors.torch import load_file
from small_runs import NAMED, small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.parameters import trainable
from covlaw.llm.plan.train_plan import make_plan
from covlaw.llm.train import train
from covlaw.records.lines import read_lines, read_records
from covlaw.records.runs import STEPS, TIMING
from covlaw.theory._numerics.errors import CovlawError

OPTIONS = {"rows": 4, "check": 2}
WIDE = {"rows": 8, "check": 8}
ROUNDING = 2e-3  # float32 gradients summed in another order, through Adam's 1/(√v + ε)


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=NAMED,
        guard="on",
        guard_options=OPTIONS,
        audits=0,
        checkpoint_every=2,
    )


def guards(run: Path) -> list[Any]:
    return [line.get("guard") for line in read_lines(run / STEPS)]


def test_a_guarded_run_says_what_the_guard_did(config: TrainConfig) -> None:
    run = train(replace(config, audits=2, prompts=8, steps=8, guard_options=WIDE))
    found = guards(run)
    assert read_records(run / STEPS)  # the one schema takes them
    for guard in found:
        assert len(guard["floor"]) == len(guard["weights"]) == len(guard["after"]) == 2
        assert min(guard["weights"]) >= 0
        assert guard["length"] <= 1 + 1e-9
        assert (guard["changed"] > 0) == (guard["factor"] > 0 or guard["own"] < 1)
        assert len(guard["change_before"]["se"]) == 2
    assert any(guard["factor"] > 0 for guard in found)
    assert found[0]["floor"] == [0, 0]
    assert any(max(guard["floor"]) > 0 for guard in found[1:])
    assert all(line["guard_seconds"] > 0 for line in read_lines(run / TIMING))
    assert "seconds" not in json.dumps(found)
    tokens = [line["tokens"] for line in read_lines(run / STEPS)]
    planned = replace(config, out=str(run.with_name("plan")), prompts=8, guard_options=WIDE)
    assert max(tokens) <= make_plan(planned).work.step_tokens == 8 * (6 + 8 + 8) * 6


def test_without_a_guard_nothing_of_it_is_recorded(config: TrainConfig) -> None:
    run = train(replace(config, guard="off", guard_options={}, steps=2))
    assert guards(run) == [None, None]
    assert all(set(line) == {"step", "seconds"} for line in read_lines(run / TIMING))


def test_it_acts_every_few_steps_only(config: TrainConfig) -> None:
    run = train(replace(config, guard_options={**OPTIONS, "every": 2}))
    assert [guard is not None for guard in guards(run)] == [True, False, True, False, True]


def test_when_only_needed_it_waits_for_a_certain_fall(config: TrainConfig) -> None:
    eager = {**OPTIONS, "level": 0.501, "floors": "zero"}
    for options, acts in ((eager, True), ({**eager, "level": 0.999999}, False)):
        out = Path(config.out).with_name(f"acts {acts}")
        found = guards(
            train(replace(config, out=str(out), guard="needed", guard_options=options, steps=8))
        )
        assert all(guard["forecast"] for guard in found)
        assert any(guard["after"] is not None for guard in found) == acts


@pytest.mark.parametrize("options", [{}, {"crossed": True, "floors": "certified"}])
def test_a_killed_guarded_run_ends_as_an_unbroken_one(
    config: TrainConfig, tmp_path: Path, options: dict[str, Any]
) -> None:
    """What floors remember is in the checkpoint."""
    config = replace(config, guard_options={**OPTIONS, **options})
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))

    def kill(done: int, total: int, record: dict) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, kill)
    again = train(config)
    assert (again / STEPS).read_bytes() == (unbroken / STEPS).read_bytes()
    model = Path("model") / "model.safetensors"
    assert (again / model).read_bytes() == (unbroken / model).read_bytes()
    kept = load_file(again / "checkpoints" / "step-000004" / "states.safetensors")
    assert any(name.startswith("guard.") for name in kept) == (options == {})


def test_a_step_that_keeps_every_floor_is_left_alone_to_the_bit(config: TrainConfig) -> None:
    trainer = Trainer(replace(config, guard_options={**OPTIONS, "floors": "zero"}))
    seen = []
    correct = trainer.guard.correct

    def watched(pending):
        before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
        outcome = correct(pending)
        same = all(torch.equal(p, before[n]) for n, p in trainer.model.named_parameters())
        seen.append((same, outcome.record()["factor"]))
        return outcome

    trainer.guard.correct = watched  # type: ignore[method-assign]
    states = trainer.fresh()
    for step in range(12):
        states, _ = trainer.step(step, states)
    assert {same == (factor == 0) for same, factor in seen} == {True}
    assert {same for same, _ in seen} == {True, False}


@pytest.mark.parametrize("guard", ["on", "needed"])
def test_parameters_frozen_or_added_during_an_update_are_named(
    config: TrainConfig, guard: str
) -> None:
    trainer = Trainer(replace(config, guard=guard))
    head = next(iter(trainable(trainer.model)))
    correct = trainer.guard.correct

    def frozen(pending):
        trainable(trainer.model)[head].requires_grad_(False)
        return correct(pending)

    def added(pending):
        trainer.model.extra = torch.nn.Parameter(torch.ones(2))
        return correct(pending)

    for change, words in (
        (frozen, f"frozen or removed: {head}"),
        (added, "added or unfrozen: extra"),
    ):
        trainer.guard.correct = change  # type: ignore[method-assign]
        with pytest.raises(CovlawError, match=words.replace(".", "[.]")):
            trainer.step(0, trainer.fresh())
        trainer.model.get_parameter(head).requires_grad_(True)


def test_parameters_frozen_or_added_between_updates_are_left_alone(config: TrainConfig) -> None:
    """Frozen ones stay to the bit, new ones are said to be unguarded; the others are guarded on."""
    eager = {**OPTIONS, "check": 0, "reference": "target", "target": [1.0, 1.0]}
    trainer = Trainer(replace(config, guard_options=eager))
    states, _ = trainer.step(0, trainer.fresh())
    head, *_ = parameters = trainable(trainer.model)
    kept = parameters[head].requires_grad_(False).detach().clone()
    trainer.model.extra = torch.nn.Parameter(torch.ones(2))
    states, lines = trainer.step(1, states)
    told = lines.step["guard"]
    assert told["factor"] > 0
    assert any("1 of" in note and "left alone" in note for note in told["notes"])
    assert torch.equal(trainer.model.get_parameter(head), kept)
    assert torch.equal(trainer.model.extra, torch.ones(2))


def test_on_two_processes_it_is_the_one_process_s(
    ranked: Ranked, config: TrainConfig, tmp_path: Path
) -> None:
    """Given the same completions: sums over ranks of gradients, so the same inner products."""
    runs = [tmp_path / f"on {size}" for size in (1, 2)]
    for size, run in enumerate(runs, start=1):
        made = replace(config, out=str(run), steps=2, guard_options={**OPTIONS, "crossed": True})
        ranked.results("same_samples", size, settings=made.to_dict())
    assert any(guard["factor"] > 0 for guard in guards(runs[0]))
    for one, two in zip(*map(guards, runs), strict=True):
        assert two["floor"] == pytest.approx(one["floor"], rel=0, abs=1e-12)
        assert (two["factor"], two["refused"]) == (one["factor"], one["refused"])
        for name in ("weights", "before", "after", "length", "changed"):
            assert two[name] == pytest.approx(one[name], rel=ROUNDING, abs=1e-6), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guard": "yes"}, "unknown guard 'yes'.*choose from off, on, needed"),
        ({"guard": "off"}, 'guard_options are given and guard is "off"'),
        ({"guard_options": {"row": 4}}, "option in guard_options 'row': did you mean rows"),
        ({"guard_options": {"rows": 1}}, "rows is 1: use a whole number ≥ 2"),
        ({"guard_options": {"check": 1}}, "check is 1: a covariance needs 2"),
        ({"guard_options": {"rows": 3, "crossed": True}}, "two halves of 2"),
        ({"guard_options": {"floors": "low"}}, "unknown floors 'low'"),
        ({"guard_options": {"level": 0.3}}, "level is 0.3"),
        ({"guard_options": {"strength": 2.0}}, "strength of restoring floors is 2.0"),
        ({"guard_options": {"objectives": ["digit"]}}, "did you mean digits"),
        ({"guard_options": {"reference": "target", "target": [0.5]}}, "needs 2 target values"),
        (
            {"guard_options": {"reference": "target", "target": ["a", "b"]}},
            "target must be numbers",
        ),
        ({"guard_options": {"target": [0.5, 0.5]}}, "set reference = 'target'"),
        ({"guard_options": {"floors": "zero", "strength": 7.0}}, "strength of restoring floors"),
        ({"guard_options": {"objectives": [1]}}, "objectives is .1.: use their names"),
    ],
)
def test_bad_settings_are_refused_before_work(
    config: TrainConfig, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CovlawError, match=message):
        replace(config, **settings)


def test_its_settings_survive_their_record(config: TrainConfig) -> None:
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert config.guard_options["floors"] == "restoring"

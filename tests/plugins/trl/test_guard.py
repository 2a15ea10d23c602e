"""The guard in TRL: a step that would lower a reward, by enumeration, no longer does."""

import math

import first_token_world as world
import pytest
import torch
import trl_world
from transformers import TrainerCallback

from covlaw.plugins.trl import guard_rows
from covlaw.plugins.trl.tokens import reward_gradients
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import RestoringFloors
from covlaw.trl import Guard, Scalarized

NAMES = ("wanted", "odd")
SLANT = torch.linspace(0, 1, world.VOCABULARY, dtype=torch.float64)
TABLES = {"wanted": world.WANTED, "odd": 0.6 * (1 - world.WANTED) + 0.4 * SLANT}
"""Mostly opposed, so that weights (.9, .1) lower `odd`, but not wholly: both can rise."""


def functions():
    found = []
    for name, table in TABLES.items():

        def rewarded(completion_ids, table=table, **_):
            return [float(table[ids[0]]) for ids in completion_ids]

        rewarded.__name__ = name
        found.append(rewarded)
    return found


def changes(folder, base="GRPOTrainer", wrap=lambda cls: cls, **given):
    """(steps, 2) exact changes of both expected rewards in a short run with small steps."""
    kept = trl_world.Snapshots()
    trainer = trl_world.make(
        folder,
        base,
        wrap,
        reward_funcs=functions(),
        reward_weights=[0.9, 0.1],
        learning_rate=2e-4,
        **given | {"callbacks": [*given.get("callbacks", []), kept]},
    )
    trainer.train()
    reader, found = world.policy()[0], []
    for old, new in zip(kept.before, kept.after, strict=True):
        values = []
        for state in (old, new):
            reader.load_state_dict(state)
            p = world.log_probs(reader, trainer.processing_class).exp()
            values.append(torch.stack([(p @ table).mean() for table in TABLES.values()]))
        found.append(values[1] - values[0])
    return torch.stack(found), trainer


@pytest.mark.parametrize(
    ("base", "crossed"), [("GRPOTrainer", False), ("GRPOTrainer", True), ("RLOOTrainer", False)]
)
def test_a_guarded_step_keeps_what_a_plain_one_lowers(tmp_path, base, crossed) -> None:
    plain, _ = changes(tmp_path, base)
    guard = Guard(rows=world.ROWS, completions=64, chunk=256, crossed=crossed)
    guarded, trainer = changes(tmp_path, base, callbacks=[guard])
    assert (plain[:, 1] < 0).all()
    # what is left is the gradient's sampling error and curvature: a small part of the fall
    assert (guarded[:, 1] > 0.2 * plain[:, 1]).all()
    assert float(guarded[:, 0].sum()) > 0
    line = trainer.state.log_history[0]
    assert line["covlaw/guard_before/odd"] < 0
    assert line["covlaw/guard/odd"] == pytest.approx(
        0.0, abs=1e-2 * -line["covlaw/guard_before/odd"]
    )
    assert 0 < line["covlaw/guard_changed"] < 1


def test_its_effects_are_the_exact_changes_to_first_order(tmp_path) -> None:
    """g·u of the plain step against enumeration: the gradients are those of the rewards."""
    guard = Guard(rows=world.ROWS, completions=256, chunk=512, floor=-1.0)  # never binds
    plain, _ = changes(tmp_path, callbacks=[guard], optim="sgd")
    effects = torch.stack([found.before for found in guard.guarded])
    assert [float(found.changed) for found in guard.guarded] == [0.0] * 3
    # 4352 completions: gradients to some percent; curvature is of second order in a small step
    torch.testing.assert_close(effects, plain, rtol=0.25, atol=0.05 * float(plain.abs().max()))


def test_only_named_rewards_are_guarded(tmp_path) -> None:
    guard = Guard(rows=world.ROWS, completions=32, chunk=256, rewards=["wanted"])
    found, _ = changes(tmp_path, callbacks=[guard])
    assert (found[:, 1] < 0).all()
    with pytest.raises(CovlawError, match="no reward is called 'nothing'"):
        changes(tmp_path, callbacks=[Guard(rewards=["nothing"])])


def test_completions_kept_apart_serve_it_as_well(tmp_path) -> None:
    given = {
        "wrap": Scalarized,
        "scalarizer": "linear",
        "scalarizer_options": {"weights": [0.9, 0.1]},
        "observed": 32,
        "num_generations": 40,
        "per_device_train_batch_size": len(world.ROWS) * 40,
    }
    plain, _ = changes(tmp_path, **given)
    guarded, _ = changes(tmp_path, callbacks=[Guard(samples="half_batch")], **given)
    assert float(plain[:, 1].sum()) < 0
    assert float(guarded[:, 1].sum()) > 0.3 * float(plain[:, 1].sum())
    with pytest.raises(CovlawError, match="observed=4"):
        changes(tmp_path, callbacks=[Guard(samples="half_batch")])


def test_floors_ask_back_what_was_lost_and_go_on_with_a_checkpoint(tmp_path) -> None:
    """A target that is out of reach asks at every step, in a resumed run what it would have."""
    given = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    given |= {"learning_rate": 2e-3, "lr_scheduler_type": "constant"}
    given |= {"reward_funcs": functions(), "reward_weights": [0.9, 0.1]}
    floors = RestoringFloors(2, reference="target", target=(1.0, 1.0))
    guards = [Guard(rows=world.ROWS, completions=4, chunk=256, floor=floors) for _ in range(2)]
    whole = trl_world.make(tmp_path / "whole", callbacks=[guards[0]], **given)
    whole.train()
    asked = [
        [line[f"covlaw/guard_floor/{name}"] for name in NAMES]
        for line in whole.state.log_history
        if "covlaw/guard_floor/odd" in line
    ]
    means = [guards[0].floors.state.start, guards[0].floors.state.mean]
    for floor, mean in zip((asked[0], asked[-1]), means, strict=True):
        assert floor == pytest.approx((0.3 * (1 - mean)).tolist())
    assert any(found.scale < 1 for found in guards[0].guarded)
    second = trl_world.make(tmp_path / "whole", callbacks=[guards[1]], **given)
    second.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert len(guards[1].guarded) == 2
    assert torch.equal(guards[0].floors.state.start, guards[1].floors.state.start)
    # the draw of the step after the checkpoint is that of the unbroken run
    (again,) = (line for line in second.state.log_history if line["step"] == 3)
    assert [again[f"covlaw/guard_floor/{name}"] for name in NAMES] == asked[2]


def test_a_checkpoint_without_floors_is_said(tmp_path, caplog) -> None:
    given = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    for floor, told in ((0.0, 0), ("restoring", 1)):
        changes(tmp_path, max_steps=1, **{k: v for k, v in given.items() if k != "max_steps"})
        caplog.clear()
        trainer = trl_world.make(
            tmp_path,
            reward_funcs=functions(),
            callbacks=[Guard(rows=4, completions=4, floor=floor)],
            **given,
        )
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
        assert sum("holds no floors" in m for m in caplog.messages) == told


def test_what_is_not_guarded_is_said_once(tmp_path, caplog) -> None:
    def flat(completion_ids, **_):
        return [0.5 for _ in completion_ids]

    guard = Guard(rows=4, completions=4)
    given = {"reward_funcs": [*functions(), flat], "reward_weights": [1.0, 1.0, 1.0]}
    trl_world.make(tmp_path, callbacks=[guard], **given).train()
    note = "'flat' has no gradient here: it is not guarded"
    assert all(note in found.notes for found in guard.guarded)
    assert caplog.messages.count(f"guard: {note}") == 1


def test_parameters_frozen_during_an_update_are_refused(tmp_path) -> None:
    class Freezes(TrainerCallback):
        def on_optimizer_step(self, args, state, control, **kwargs) -> None:
            next(kwargs["model"].parameters()).requires_grad_(False)

    with pytest.raises(CovlawError, match="frozen or added during an update"):
        changes(tmp_path, callbacks=[Freezes(), Guard(rows=4, completions=4)])


def test_completions_of_a_batch_that_was_stepped_on_are_weighed(tmp_path, monkeypatch) -> None:
    """By π_now/π_then: gradients are linear in it, and a batch of one step is read once."""
    found = []

    def kept(trainer, tokens, factors, rows):
        found.append(factors.clone())
        return reward_gradients(trainer, tokens, factors, rows)

    monkeypatch.setattr(guard_rows, "reward_gradients", kept)
    monkeypatch.setattr(guard_rows, "new_log_prob", lambda _, drawn: drawn.log_prob + math.log(2.0))
    given = {"wrap": Scalarized, "scalarizer": "linear", "observed": 4, "max_steps": 1}
    for iterations in (1, 2):
        guard = Guard(samples="half_batch")
        changes(tmp_path, callbacks=[guard], num_iterations=iterations, **given)
    once, twice = found
    torch.testing.assert_close(twice, 2 * once)


def test_wrong_arguments_are_refused(tmp_path) -> None:
    for floor, words in (([0.0] * 3, "floor has shape"), ("high", "use 'restoring'")):
        with pytest.raises(CovlawError, match=words):
            changes(tmp_path, callbacks=[Guard(floor=floor)])
    with pytest.raises(CovlawError, match="floors of 3 objectives for 2 rewards"):
        changes(tmp_path, callbacks=[Guard(floor=RestoringFloors(3))])
    wrong = ({"completions": 1}, {"completions": 5, "crossed": True}, {"every": 0})
    for given in (*wrong, {"samples": "none"}):
        with pytest.raises(CovlawError, match=next(iter(given))):
            Guard(**given)
    Guard(completions=5)

"""The guard in TRL: a step that would lower a reward, by enumeration, no longer does."""

import first_token_world as world
import pytest
import torch
import trl_world

from covlaw.theory._numerics.errors import CovlawError
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


def test_wrong_arguments_are_refused() -> None:
    wrong = ({"completions": 1}, {"completions": 5, "crossed": True}, {"every": 0})
    for given in (*wrong, {"samples": "none"}):
        with pytest.raises(CovlawError, match=next(iter(given))):
            Guard(**given)
    Guard(completions=5)

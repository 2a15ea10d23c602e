"""The rung: reproducible instances of every kind, and no transformers without it."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from covlaw.theory.worlds.rungs import Rung, load_rung
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.rung import PERIOD, RUNG


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, 0])


def test_the_entry_point_is_this_rung() -> None:
    assert load_rung("transformer") is RUNG
    assert isinstance(RUNG, Rung)
    assert RUNG.name == "transformer"


def test_worlds_are_small_but_for_one() -> None:
    worlds = list(RUNG.worlds(rng(), RUNG.default_count(World)))
    sizes = [len(w.prompt) for w in worlds]
    assert sorted(sizes)[-1] == 2 * 19_608
    assert sorted(sizes)[-2] <= 600  # the others allow a dense Jacobian
    assert all(len(w.prompt) < len(w.theta) for w in worlds if len(w.prompt) <= 600)
    assert len({w.names for w in worlds}) == 2  # token objectives and random tables
    assert not any(w.tabular for w in worlds)


@pytest.mark.parametrize("seed", [0, 1])
def test_worlds_depend_on_the_seed_alone(seed: int) -> None:
    for one, same in zip(RUNG.worlds(rng(seed), 4), RUNG.worlds(rng(seed), 4), strict=True):
        assert one.theta.equal(same.theta)
        assert one.rewards.equal(same.rewards)
        assert one.log_prob_at().equal(same.log_prob_at())


def test_updates_are_those_of_three_optimisers() -> None:
    updates = list(RUNG.updates(rng(), 3))
    optimisers = {u.label.split(", ")[1].rsplit(" ", 1)[0] for u in updates}
    assert optimisers == {"SGD", "AdamW", "natural gradient"}
    assert all(bool((u.change_error == 0).all()) for u in updates)
    again = RUNG.updates(rng(), 3)
    for one, same in zip(updates, again, strict=True):
        assert one.change.equal(same.change)
        assert all(a.equal(b) for a, b in zip(one.fields, same.fields, strict=True))


def test_inner_steps_reach_the_clip_range() -> None:
    steps = list(RUNG.inner_steps(rng(), 7))
    clipped = [bool(((s.weight == 0) & (s.advantage != 0)).any()) for s in steps]
    assert any(clipped)
    assert {s.dual_clip is None for s in steps} == {True, False}
    for one, same in zip(steps, RUNG.inner_steps(rng(), 7), strict=True):
        assert one.log_ratio.equal(same.log_ratio)


def test_the_last_of_a_default_check_is_large() -> None:
    for kind in (World, Update, InnerStep):
        assert RUNG.default_count(kind) == PERIOD
    step = next(islice(RUNG.inner_steps(rng(), PERIOD), PERIOD - 1, None))
    assert len(step.advantage) == 2 * 19_608
    assert torch.isfinite(step.log_ratio).all()


def test_covlaw_toys_alone_does_not_import_transformers() -> None:
    code = "import sys, covlaw.toys; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603

"""Scalarizers that serve many runs at once give each the numbers it has alone, up to rounding.

Not to the bit everywhere: a BLAS may add up the rows of a stack in another order than one alone.
"""

from typing import Any

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import SCALARIZERS, Batch, Observation, make_scalarizer
from covlaw.theory.scalarizers.protocol import stacks

NAMES = ("accuracy", "conciseness", "clarity")
RUNS, PROMPTS, COMPLETIONS = 7, 2, 6
AMPLIFIED = 2.0**13
"""Roundings of sums over 12 completions (2⁴), conditioning of the programmes (2⁷), steps (2²)."""
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "mgda": [{"reference": True}],
    "dynamic": [{"reference": True}],
    "covariance_mgda": [{"geometry": "raw"}],
    "ctwa": [
        {"statistic": "grpo", "share": 0.5},
        {"statistic": "pooled", "share": 0.5},
        {"statistic": "raw", "normalised": False},
    ],
}
FORMS = [(name, options) for name in SCALARIZERS for options in ({}, *OPTIONS.get(name, []))]
STACKING = [form for form in FORMS if stacks(make_scalarizer(form[0], NAMES, **form[1]))]


def worlds(seed: int, runs: int = RUNS) -> tuple[Batch, Observation]:
    """Batches that differ in kind: one run's objective is constant, another's gradients oppose."""
    rng = np.random.default_rng(seed)
    rewards = torch.as_tensor(rng.normal(size=(runs, PROMPTS * COMPLETIONS, 3)))
    rewards[1, :, 0] = 0.25
    mass = torch.as_tensor(rng.dirichlet(np.ones(COMPLETIONS), size=(runs, PROMPTS))).flatten(1)
    mass[0, 0], mass[0, 1] = 0.0, mass[0, 0] + mass[0, 1]
    gradients = torch.as_tensor(rng.normal(size=(runs, 3, 5)))
    gradients[2, 1] = -gradients[2, 0]
    gradients[3, 2] = 0.0
    share = torch.tensor([0.3, 0.7], dtype=torch.float64)
    prompt = torch.arange(PROMPTS).repeat_interleave(COMPLETIONS)
    covariance, values = (torch.as_tensor(rng.normal(size=(runs, 3))) for _ in range(2))
    return (
        Batch(rewards, prompt, mass, share, gradients @ gradients.mT),
        Observation(covariance, values, values.exp()),
    )


def one(fields: Any, r: int) -> Any:
    """A run's own batch or observation: what has a leading axis of runs loses it."""
    shared = ("prompt", "prompt_mass", "mask")
    named = fields._asdict().items()
    own = {k: v if v is None or k in shared else v[r] for k, v in named}
    return type(fields)(**own)


def same(stacked: torch.Tensor, alone: torch.Tensor) -> bool:
    """Equal up to the roundings of sums over completions, amplified by four steps of feedback."""
    return torch.allclose(stacked, alone, rtol=2.0**-53 * AMPLIFIED, atol=2.0**-53 * AMPLIFIED)


def test_those_that_solve_programmes_stack() -> None:
    names = {name for name, _ in STACKING}
    assert {"mgda", "nash_mtl", "upgrad", "covariance_mgda", "ctwa"} <= names
    assert not stacks(make_scalarizer("ctwa", NAMES, statistic="grpo", refuse_infeasible=True))


@pytest.mark.parametrize(("name", "options"), STACKING)
def test_every_run_has_the_numbers_it_has_alone(name: str, options: dict[str, Any]) -> None:
    scalarizer = make_scalarizer(name, NAMES, **options)
    fresh = scalarizer.init()
    together = type(fresh)(*(field.expand(RUNS, *field.shape) for field in fresh))
    apart = [fresh] * RUNS
    for step in range(4):
        batch, seen = worlds(step)
        together, signal = scalarizer.signal(together, batch)
        together = scalarizer.update(together, seen)
        for r in range(RUNS):
            apart[r], own = scalarizer.signal(apart[r], one(batch, r))
            apart[r] = scalarizer.update(apart[r], one(seen, r))
            assert same(signal.score[r], own.score)
            if own.weights is not None:
                assert same(signal.weights[r], own.weights)
            assert all(same(a[r], b) for a, b in zip(together, apart[r], strict=True))


@pytest.mark.parametrize("name", ["mgda", "nash_mtl", "dynamic"])
def test_one_bad_gramian_refuses_the_stack(name: str) -> None:
    scalarizer = make_scalarizer(name, NAMES)
    batch, _ = worlds(0)
    assert batch.gramian is not None
    batch.gramian[4, 0, 0] = torch.nan
    fresh = scalarizer.init()
    state = type(fresh)(*(field.expand(RUNS, *field.shape) for field in fresh))
    with pytest.raises(CovlawError, match=f"{name} needs finite the gramian"):
        scalarizer.signal(state, batch)

"""What sampled guards make of earlier steps: pooled completions, secants, standard errors."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.guards import Guard
from covlaw.toys.study.memory import CAP, Memory
from covlaw.toys.study.observed import exactly
from covlaw.toys.study.supply import Snapshot, gradients, snapshot
from covlaw.toys.study.worlds import WORLDS

RUNS = 4000


def bandits(runs: int) -> tuple[PolicyEnsemble, Snapshot]:
    kind = WORLDS["bandit"]
    ensemble = kind.build(kind.cells[0], (0,)).rows(torch.zeros(runs, dtype=torch.int64))
    return ensemble, snapshot(ensemble, ensemble.theta)


def memory(ensemble: PolicyEnsemble, guard: Guard, samples: int) -> Memory:
    rngs = [np.random.default_rng(r) for r in range(ensemble.runs)]
    return Memory(ensemble, guard, samples, rngs)


def moved(ensemble: PolicyEnsemble, now: Snapshot, by: float) -> Snapshot:
    rng = np.random.default_rng(5)
    step = torch.from_numpy(rng.normal(size=now.theta.shape[1]))
    return snapshot(ensemble, now.theta + by * step)


def test_a_pool_of_one_step_is_that_steps_estimate() -> None:
    ensemble, now = bandits(20)
    (alone,) = memory(ensemble, Guard("step"), 6).observed(now)
    (pooled,) = memory(ensemble, Guard("step", pool=6), 6).observed(now)
    assert (alone - pooled).abs().max() <= rounding(alone.abs().max(), 64)


def test_pooled_gradients_are_unbiased_where_ratios_stay_below_the_cap() -> None:
    """Self-normalised: their bias is O(1/K²) of 24 completions, far below 4.5 standard errors; with
    the earlier completions weighed as today's it is not."""
    ensemble, start = bandits(RUNS)
    now = moved(ensemble, start, 0.15)
    assert (now.mass / start.mass).max() < CAP
    own = memory(ensemble, Guard("step", pool=24), 12)
    own.observed(start)
    (weight,) = own.observed(now)
    stale = memory(ensemble, Guard("step", pool=24), 12)
    stale.observed(start._replace(mass=now.mass))  # its sampler is the one at hand
    found = gradients(ensemble, now.theta, weight)
    truth = gradients(ensemble, now.theta[:1], exactly(now)[0][:1])[0]
    error = found.std(0) / RUNS**0.5
    assert ((found.mean(0) - truth).abs() <= 4.5 * error + 0.01 * truth.abs().max()).all()
    before = gradients(ensemble, now.theta[:1], exactly(start)[0][:1])[0]
    assert (before - truth).abs().max() > 0.1 * truth.abs().max()


def test_pooling_lowers_the_noise_of_the_gradients_as_more_completions_would() -> None:
    ensemble, now = bandits(RUNS)
    own = memory(ensemble, Guard("step", pool=16), 4)
    spread = list[Tensor]()
    for _ in range(4):
        (weight,) = own.observed(now)
        spread.append(gradients(ensemble, now.theta, weight).var(0).sum())
    # 1/(K − 1) of each part matters too: between a third and a sixth is left of 4 from 16
    assert 1 / 6 < spread[3] / spread[0] < 1 / 3


def test_standard_errors_are_those_of_the_effects() -> None:
    ensemble, now = bandits(RUNS)
    step = 0.01 * torch.from_numpy(np.random.default_rng(5).normal(size=now.theta.shape[1]))
    own = memory(ensemble, Guard("step", certified=1.0), 32)
    (weight,) = own.observed(now)
    effects = gradients(ensemble, now.theta, weight) @ step
    told = own.margin(now, step.expand_as(now.theta)).square().mean(0).sqrt()
    assert (told / effects.std(0) - 1).abs().max() < 0.15


def test_gradients_agree_with_the_last_steps_changes() -> None:
    ensemble, now = bandits(3)
    own = memory(ensemble, Guard("step", secants=1), 4)
    metric = torch.linspace(0.5, 2.0, now.theta.shape[1], dtype=torch.float64).expand_as(now.theta)
    given = gradients(ensemble, now.theta, own.observed(now)[0])
    assert own.agreeing(given, now.values, metric) is given  # nothing seen yet
    after = moved(ensemble, now, 0.05)
    step = after.theta - now.theta
    own.remember(now.values, step)
    found = own.agreeing(given, after.values, metric)
    effect = (found @ step[..., None])[..., 0]
    assert (effect - (after.values - now.values)).abs().max() < 1e-5 * step.abs().max()
    apart = (found - given) * metric[:, None]  # along the step, in the dual of the metric
    cosine = torch.nn.functional.cosine_similarity(apart, step[:, None], dim=2).abs()
    assert (cosine - 1).abs().max() < 1e-9


def test_floors_hold_a_share_of_the_best() -> None:
    ensemble, _ = bandits(1)
    own = memory(ensemble, Guard("step", restoring=0.5, best=0.5), 4)
    start = torch.tensor([[0.2, 0.6]], dtype=torch.float64)
    own.floor(start, torch.tensor([[0.6, 0.6]], dtype=torch.float64))
    later = own.floor(start, torch.tensor([[0.3, 0.5]], dtype=torch.float64))
    assert torch.allclose(later, torch.tensor([[0.05, 0.05]], dtype=torch.float64))

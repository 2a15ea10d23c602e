"""The study's guards: batched as `theory.guard` is run by run, and what they promise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.guard import guard_step, shrunk_gramian
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.solvers.min_norm import min_norm_weights
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import Course, train_ensemble
from covlaw.toys.study.ensemble import Optimiser, PolicyEnsemble
from covlaw.toys.study.guards import GUARDS, check_samples, find_guard
from covlaw.toys.study.observed import drawn, exactly
from covlaw.toys.study.projection import conflict_free, projected, squared_length
from covlaw.toys.study.supply import gradients, snapshot, values_at
from covlaw.toys.study.worlds import WORLDS, adamw, find_optimiser, sgd


def draw(world: str, seeds: tuple[int, ...] = (0, 1, 2), optimiser: str = "") -> PolicyEnsemble:
    kind = WORLDS[world]
    found = kind.build(kind.cells[0], seeds)
    return replace(found, optimiser=find_optimiser(optimiser or kind.optimisers[0]))


def course(ensemble: PolicyEnsemble, guard: str, samples: int = 0, steps: int = 6) -> Course:
    scalarizer = make_scalarizer("linear", ensemble.names)
    arms = [Arm(scalarizer, "grpo", "on", guard, samples, r) for r in range(ensemble.runs)]
    return train_ensemble(ensemble, arms, steps, 2)


@pytest.mark.parametrize("floor", [0.0, 0.05])
@pytest.mark.parametrize("halved", [False, True])
def test_batched_projections_are_guard_step_run_by_run(floor: float, halved: bool) -> None:
    """Also where a Gramian that is not the gradients' own makes the correction too long."""
    rng = np.random.default_rng(3)
    normal = [torch.from_numpy(rng.normal(size=size)) for size in ((40, 9), (40, 3, 9), (40, 9))]
    step, given, metric = normal[0], normal[1], normal[2].abs()
    metric[:, 0] = step[:, 0] = 0.0  # what the optimiser does not move
    given[:5, 1] = 0.0  # an objective without a gradient
    gram = (given * metric[:, None]) @ given.mT / 8 if halved else None
    floors = torch.full((40, 3), floor, dtype=torch.float64)
    found = projected(step, given, metric, floors, gram)
    for r in range(40):
        own = None if gram is None else gram[r]
        alone = guard_step(step[r], given[r], metric[r], floors[r], gram=own)
        allowed = rounding(float(alone.step.abs().max()) + 1, 4096) * 64
        assert (found.step[r] - alone.step).abs().max() <= allowed
        assert (found.effects[r] - alone.effects).abs().max() <= 16 * allowed
    longest = squared_length(step, metric) * (1 + 1e-12)
    assert (squared_length(found.step, metric) <= longest).all()


def test_exact_gradients_are_those_of_the_values() -> None:
    """By central differences."""
    ensemble = draw("tabular")
    now = snapshot(ensemble, ensemble.theta)
    (weight,) = exactly(now)
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=ensemble.theta.shape))
    found = (gradients(ensemble, now.theta, weight) * direction[:, None]).sum(2)
    h = 1e-5
    up, down = (values_at(ensemble, now.theta + s * h * direction) for s in (1, -1))
    assert ((up - down) / (2 * h) - found).abs().max() <= 1e-8


@pytest.mark.parametrize("parts", [1, 2])
def test_sampled_gradients_are_unbiased(parts: int) -> None:
    """Over 4000 draws, within 4.5 standard errors: 3·18 components."""
    ensemble = draw("bandit", (0,)).rows(torch.zeros(4000, dtype=torch.int64))
    now = snapshot(ensemble, ensemble.theta)
    rngs = [np.random.default_rng(r) for r in range(4000)]
    truth = gradients(ensemble.rows(torch.tensor([0])), now.theta[:1], exactly(now)[0][:1])[0]
    for weight in drawn(ensemble, now, rngs, 4, parts):
        found = gradients(ensemble, now.theta, weight)
        error = found.std(0) / math.sqrt(4000)
        assert ((found.mean(0) - truth).abs() <= 4.5 * error + 1e-12).all()


def test_configs_direction_has_one_cosine_with_every_gradient() -> None:
    """Whatever their lengths, and as long as the gradients go along it together."""
    given = torch.from_numpy(np.random.default_rng(4).normal(size=(20, 3, 9)))
    given[:, 1] *= 50.0
    found = conflict_free(given)
    length = found.norm(dim=1)
    cosine = (given @ found[..., None])[..., 0] / given.norm(dim=2) / length[:, None]
    assert (cosine - cosine[:, :1]).abs().max() < 1e-12
    assert (cosine > 0).all()
    along = (given @ (found / length[:, None])[..., None]).sum((1, 2))
    assert (along / length - 1).abs().max() < 1e-12


def test_divergence_is_the_mean_kl_of_the_prompts() -> None:
    ensemble = draw("bandit", (0, 1))
    found = course(ensemble, "none", steps=3)
    assert found.divergence[0].tolist() == [0.0, 0.0]
    assert (found.divergence[1:] > 0).all()


@pytest.mark.parametrize(
    "optimiser", [sgd(0.2), adamw(1e-2), adamw(1e-3)], ids=["sgd", "adamw", "slow"]
)
def test_small_guarded_steps_lose_nothing_where_unguarded_ones_do(optimiser: Optimiser) -> None:
    """To first order, with momentum too: what is left is curvature, quadratic in the step."""
    ensemble = replace(draw("tabular", tuple(range(6))), optimiser=optimiser)
    plain, guarded = (
        float(course(ensemble, guard, steps=12).values.diff(dim=0).min())
        for guard in ("none", "guard")
    )
    assert plain < -5e-5
    assert guarded > 0.1 * plain


def test_completions_that_have_died_out_stop_no_natural_guard() -> None:
    ensemble = draw("bandit_natural", (0,))
    theta = ensemble.theta.clone()
    theta[:, :2] -= torch.tensor([600.0, 800.0])  # shares of 1e-261 and 0
    found = course(replace(ensemble, theta=theta), "guard", steps=2)
    assert found.errors == ("",)
    assert torch.isfinite(found.values).all()


def test_a_share_of_the_largest_gain_goes_to_every_objective() -> None:
    """To first order, where steps are short; the correction adds to the largest as well."""
    ensemble = replace(draw("tabular", tuple(range(6))), optimiser=sgd(1e-3))
    for guard, reached in (("guard", False), ("guard-share", True)):
        gain = course(ensemble, guard, steps=1).values.diff(dim=0)[0]
        assert bool((gain.amin(1) > 0.09 * gain.amax(1)).all()) == reached


@pytest.mark.parametrize(
    "guard", ["guard-halving", "guard-share-halving", "guard-curvature", "halving"]
)
def test_step_control_lets_nothing_fall_beyond_its_last_halving(guard: str) -> None:
    """At a rate where the plain guard's curvature takes from someone."""
    ensemble = replace(draw("tabular", tuple(range(6))), optimiser=adamw(0.1))
    loss = {
        name: float(course(ensemble, name).values.diff(dim=0).min()) for name in ("guard", guard)
    }
    assert loss["guard"] < -1e-3
    assert loss[guard] > 0.25 * loss["guard"]


@pytest.mark.parametrize("guard", [name for name in GUARDS if name != "none"])
def test_a_guarded_run_does_not_depend_on_its_neighbours(guard: str) -> None:
    ensemble = draw("tabular", (0, 1, 2), "adamw-.1")
    samples = 8 if find_guard(guard).sampled else 0
    scalarizer = make_scalarizer("mgda", ensemble.names)
    arms = [Arm(scalarizer, "grpo", "on", guard, samples, r) for r in range(3)]
    mixed = [arms[0], arms[1]._replace(guard="none", samples=0), arms[2]]
    together = train_ensemble(ensemble, mixed, 3, 2)
    for r in (0, 2):
        alone = train_ensemble(ensemble.rows(torch.tensor([r])), [arms[r]], 3, 2)
        assert torch.equal(alone.values[:, 0], together.values[:, r])
    bare = train_ensemble(ensemble.rows(torch.tensor([1])), [mixed[1]], 3, 2)
    assert torch.equal(bare.values[:, 0], together.values[:, 1])


def test_the_gramian_of_the_rivals_is_in_the_optimisers_metric() -> None:
    """At the first step the optimiser has no state: MGDA's step is then its own."""
    ensemble = draw("tabular", (0, 1), "adamw-.1")
    scalarizer = make_scalarizer("mgda", ensemble.names)

    def values(guard: str) -> Tensor:
        arms = [Arm(scalarizer, "raw", "on", guard)] * 2
        return train_ensemble(ensemble, arms, 3, 2).values

    plain, metric = values("none"), values("gramian-in-metric")
    assert torch.equal(plain[:2], metric[:2])
    assert not torch.equal(plain[2], metric[2])


@pytest.mark.parametrize("guard", ["gramian-plain", "gramian-crossed", "gramian-unshrunk"])
def test_the_methods_weights_are_those_of_the_sampled_gramian(guard: str) -> None:
    """And not of the exact one; the run's own generator draws the completions."""
    ensemble = draw("tabular", (0, 1))
    now, rngs = snapshot(ensemble, ensemble.theta), [np.random.default_rng([r, 2]) for r in (0, 1)]
    parts = drawn(ensemble, now, rngs, 8, 1 if guard == "gramian-plain" else 2)
    halves = [gradients(ensemble, now.theta, part) for part in parts]
    products = halves[0] @ halves[-1].mT
    if guard == "gramian-crossed":
        plain = (halves[0] + halves[1]) / 2
        each = zip(products, plain @ plain.mT, strict=True)
        grams = torch.stack([shrunk_gramian(x, own).gram for x, own in each])
    else:
        values, vectors = torch.linalg.eigh(products + products.mT)
        grams = vectors @ torch.diag_embed(values.clamp(min=0)) @ vectors.mT
    scalarizer = make_scalarizer("mgda", ensemble.names)

    def weights(name: str, samples: int) -> Tensor:
        arms = [Arm(scalarizer, "raw", "on", name, samples, r) for r in (0, 1)]
        return train_ensemble(ensemble, arms, 1, 2).weights

    found, exact = weights(guard, 8), weights("none", 0)
    assert (found - min_norm_weights(grams)).abs().max() < 1e-9
    assert (found - exact).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize(
    ("guard", "samples", "message"),
    [
        ("guards", 0, "did you mean guard"),
        ("guard", 1, "needs 2 or more"),
        ("guard-crossed", 2, "needs 4 or more"),
        ("guard-crossed", 0, "give it some"),
        ("guard-pool", 0, "about sampling noise"),
        ("gem", 4, "no sampled form"),
        ("gramian-plain", 0, "give it some"),
        ("gramian-in-metric", 4, "no sampled form"),
    ],
)
def test_guards_that_cannot_work_are_refused(guard: str, samples: int, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        check_samples(guard, samples)

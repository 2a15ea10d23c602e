"""Covariance-MGDA: its promise on every exact rung, in both geometries, and where it ends."""

import numpy as np
import pytest
import torch
from frozen_rungs import (
    EXACT_RUNGS,
    covariances,
    frozen_batch,
    gain,
    over_prompt_std,
    rung_worlds,
)
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.scalarizers import Batch, covariance_mgda, make_scalarizer
from covlaw.theory.scalarizers._batch_headroom import Room
from covlaw.theory.solvers.mean_std_programme import SHARPEST
from covlaw.theory.statements import check
from covlaw.theory.statements.ctwa._std_rounding import gradient_error, mean_std_error, signal_error
from covlaw.theory.worlds.world import World


def solved(batch: Batch, **options: object) -> tuple[float, Tensor, Tensor]:
    """(headroom, weights, score)."""
    names = [f"objective {j}" for j in range(batch.rewards.shape[1])]
    scalarizer = make_scalarizer("covariance_mgda", names, **options)
    state, signal = scalarizer.signal(scalarizer.init(), batch)
    assert signal.weights is not None
    assert signal.advantage is None
    return float(state.headroom), signal.weights, signal.score


def near_optimum(found: PromptCovariances, weights: Tensor, least: float) -> Tensor:
    """What a certified gap and rounding may leave of t* − y_j: (M,)."""
    certain = headroom(found, torch.ones_like(weights)).lower
    gap = (least - certain).clamp(min=0.0) + mean_std_error(found, weights)
    return 4 * signal_error(found, weights) + gradient_error(found, weights, gap) + gap


def size(world: World, weights: Tensor) -> Tensor:
    """Magnitude of the terms of each covariance: (M,)."""
    largest = world.rewards.abs().amax(0)
    return (largest @ weights) * (largest + largest @ weights)


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_raw_weights_lift_every_objective_by_the_headroom(rung: str) -> None:
    """T31: Cov(r_j, λ·r) ≥ v*, with equality on the support; the score's own variance is v*."""
    for world in rung_worlds(rung):
        least, weights, score = solved(frozen_batch(world), geometry="raw")
        gains, allowed = gain(world, score), rounding(size(world, weights), 64 * len(score))
        assert (gains >= least - allowed).all()
        assert ((gains - least).abs() <= allowed / weights)[weights > 0].all()


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_mean_std_weights_lift_every_normalised_covariance_by_the_headroom(rung: str) -> None:
    """T36, through the advantage itself; the solver's certified gap is all that may be missing."""
    for world in rung_worlds(rung):
        least, weights, score = solved(frozen_batch(world))
        gains = gain(world, over_prompt_std(world, score))
        assert (gains >= least - near_optimum(covariances(world), weights, least)).all()


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_no_other_weights_have_a_larger_least_normalised_gain(rung: str) -> None:
    rng = np.random.default_rng(1)
    for world in rung_worlds(rung, 3):
        least, *_ = solved(frozen_batch(world))
        for _ in range(20):
            weights = torch.as_tensor(rng.dirichlet(np.ones(world.rewards.shape[1])))
            gains = gain(world, over_prompt_std(world, world.rewards @ weights))
            assert (gains - 4 * signal_error(covariances(world), weights)).min() <= least


def test_promises_follow_the_target_direction() -> None:
    direction = torch.tensor([1.0, 3.0], dtype=torch.float64)
    world = next(w for w in rung_worlds("bandit", 12) if w.rewards.shape[1] == 2)
    least, weights, score = solved(frozen_batch(world), geometry="raw", target=[1.0, 3.0])
    share = weights @ direction
    gains = gain(world, score)
    allowed = rounding(size(world, weights), 64 * len(score))
    assert (gains >= (weights @ gains) / share * direction - allowed).all()
    assert abs(least - (weights @ gains) / share**2) <= allowed.max() / share**2


def test_sampled_groups_keep_the_promise_about_the_sample() -> None:
    """Under GRPO's own normaliser and the unbiased sample covariance."""
    rng = np.random.default_rng(0)
    rewards = torch.as_tensor(rng.normal(size=(48, 3)))
    rewards[:, 2] -= rewards[:, 0]
    prompt = torch.arange(48) // 8
    least, weights, score = solved(Batch(rewards, prompt))
    gains = within_prompt_covariance(rewards, group_advantage(score, prompt), prompt).estimate
    assert (
        gains >= least - near_optimum(prompt_covariances(rewards, prompt), weights, least)
    ).all()
    pooled = solved(Batch(rewards, prompt), geometry="raw")
    advantage = group_advantage(pooled[2], prompt, "pooled_within")
    gains = within_prompt_covariance(rewards, advantage, prompt).estimate
    assert (gains >= pooled[0] ** 0.5 - rounding(64.0, 1024)).all()


def test_equal_weights_would_lower_an_objective_that_these_lift() -> None:
    """Two that agree, one that opposes both: uniform weights sacrifice it."""
    rewards = torch.tensor([[1.0, 1, -1], [1, 0, 0], [0, 1, 0], [-2, -2, 1.5]]).double()
    batch = Batch(rewards, torch.zeros(4).long(), torch.full((4,), 0.25).double())
    uniform = rewards.mean(1)

    def gains(score: Tensor) -> Tensor:
        return within_prompt_covariance(rewards, score, batch.prompt, batch.mass).estimate

    assert gains(uniform)[2] < 0
    for geometry in ("raw", "mean_std"):
        least, _, score = solved(batch, geometry=geometry)
        assert least > 0
        assert (gains(score) > 0).all()


def test_opposed_objectives_stop_the_step() -> None:
    rewards = torch.tensor([[1.0, -1], [0, 0], [3, -3]]).double()
    # the programme's interval is (M + 2P)/SHARPEST wide in units of the std, here √(7/3)
    reach = {"raw": 0.0, "mean_std": 4 / SHARPEST * (7 / 3) ** 0.5}
    for geometry, gap in reach.items():
        least, weights, score = solved(Batch(rewards, torch.zeros(3).long()), geometry=geometry)
        allowed = gap + float(rounding(9.0, 256))
        assert abs(least) <= allowed
        assert ((weights - 0.5).abs() <= allowed).all()  # sd(λ·r) = |λ_1 − λ_2|·sd
        assert score.abs().max() <= 6 * allowed


@pytest.mark.parametrize("geometry", ["raw", "mean_std"])
def test_a_constant_objective_is_left_out(geometry: str) -> None:
    """It would take all the weight, t* would be 0, and nothing would be learned."""
    rewards = torch.tensor([[1.0, 7, 0], [0, 7, 1], [2, 7, 0]]).double()
    batch = Batch(rewards, torch.zeros(3).long())
    least, weights, _ = solved(batch, geometry=geometry)
    assert weights[1] == 0
    rest = solved(batch._replace(rewards=rewards[:, [0, 2]]), geometry=geometry)
    assert torch.equal(weights[[0, 2]], rest[1])
    assert least == rest[0] > 0
    none = solved(batch._replace(rewards=torch.full((3, 3), 0.1).double()), geometry=geometry)
    assert none[0] == 0
    assert (none[1] == 1 / 3).all()


@pytest.mark.parametrize("geometry", ["raw", "mean_std"])
@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_weights_do_not_depend_on_a_common_scale(geometry: str, scale: float) -> None:
    rng = np.random.default_rng(2)
    rewards = torch.as_tensor(rng.normal(size=(24, 4)))
    batch = Batch(rewards, torch.arange(24) // 6)
    plain, scaled = (
        solved(batch._replace(rewards=s * rewards), geometry=geometry) for s in (1.0, scale)
    )
    power = scale**2 if geometry == "raw" else scale
    assert scaled[0] == power * plain[0]
    assert torch.equal(plain[1], scaled[1])


def test_bad_options_and_lonely_completions_are_refused() -> None:
    with pytest.raises(CovlawError, match="geometry is 'std': choose from mean_std, raw"):
        make_scalarizer("covariance_mgda", ["a"], geometry="std")
    with pytest.raises(CovlawError, match="give each objective one > 0"):
        make_scalarizer("covariance_mgda", ["a", "b"], target=[1.0, 0.0])
    with pytest.raises(CovlawError, match="single completion"):
        solved(Batch(torch.eye(2).double(), torch.arange(2)))


def test_e5_refutes_equal_weights_as_covariance_mgda(monkeypatch: pytest.MonkeyPatch) -> None:
    original = covariance_mgda.room_of_varying

    def equal(*given: object) -> Room:
        room = original(*given)  # type: ignore[arg-type]
        return room._replace(weights=torch.full_like(room.weights, 1 / len(room.weights)))

    monkeypatch.setattr(covariance_mgda, "room_of_varying", equal)
    assert check("E5", "theory", seed=0, instances=30).status == "refuted"

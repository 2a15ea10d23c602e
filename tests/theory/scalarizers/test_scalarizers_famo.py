"""FAMO: its rule step by step, and where it rests: all logarithms fall equally fast."""

import math
from itertools import pairwise

import pytest
import torch
from frozen_rungs import EXACT_RUNGS, covariances, frozen_batch, gain, rung_worlds
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer
from covlaw.theory.scalarizers.famo import FLOOR, Famo, FamoState
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.worlds.world import World

LOSSES = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=6)


def unit_batch(count: int) -> Batch:
    return Batch(torch.eye(count).double(), torch.zeros(count).long())


def observe(scalarizer: Famo, losses: list[tuple[float, ...]]) -> FamoState:
    state = scalarizer.init()
    for row in losses:
        seen = Observation(losses=torch.tensor(row, dtype=torch.float64))
        state = scalarizer.update(state, seen)
    return state


def weights(scalarizer: Famo, state: FamoState) -> Tensor:
    return scalarizer.signal(state, unit_batch(len(state.logits)))[1].score


def by_hand(losses: list[tuple[float, ...]], step: float, decay: float) -> list[float]:
    """λ after the observations, by the Jacobian of the softmax written out."""
    logits = [0.0] * len(losses[0])
    for old, new in pairwise(losses):
        z = [math.exp(x) / sum(map(math.exp, logits)) for x in logits]
        fall = [math.log(a) - math.log(b) for a, b in zip(old, new, strict=True)]
        gradient = [
            sum(z[i] * ((i == j) - z[j]) * fall[i] for i in range(len(z))) for j in range(len(z))
        ]
        logits = [x - step * (g + decay * x) for x, g in zip(logits, gradient, strict=True)]
    raw = [math.exp(x) / loss for x, loss in zip(logits, losses[-1], strict=True)]
    return [x / sum(raw) for x in raw]


@given(LOSSES, st.sampled_from([0.025, 1.0]), st.sampled_from([0.0, 0.5]))
def test_weights_follow_the_rule(
    losses: list[tuple[float, float]], step: float, decay: float
) -> None:
    scalarizer = make_scalarizer("famo", ["a", "b"], step=step, decay=decay)
    found = weights(scalarizer, observe(scalarizer, losses))
    expected = torch.tensor(by_hand(losses, step, decay), dtype=torch.float64)
    assert ((found - expected).abs() <= rounding(64.0, 64 * len(losses))).all()


def test_weights_are_equal_before_any_loss_and_then_in_inverse_proportion() -> None:
    scalarizer = make_scalarizer("famo", ["a", "b"])
    assert weights(scalarizer, scalarizer.init()).tolist() == [0.5, 0.5]
    found = weights(scalarizer, observe(scalarizer, [(1.0, 4.0)]))
    assert abs(found[0] - 0.8) <= rounding(1.0, 64)


def test_the_objective_whose_loss_falls_slower_gains() -> None:
    scalarizer = make_scalarizer("famo", ["a", "b"], step=1.0, decay=0.0)
    state = observe(scalarizer, [(1.0, 1.0), (0.9, 0.5)])
    assert state.logits[0] > 0 > state.logits[1]
    state = observe(scalarizer, [(1.0, 100.0), (0.5, 50.0)])  # equal rates
    assert (state.logits.abs() <= rounding(1.0, 64)).all()


def frozen_steps(world: World, losses: Tensor, share: Tensor, steps: int) -> list[Tensor]:
    """Z after each step with frozen losses ℓ and the law's rates (Cλ)_j/ℓ_j, from z = `share`."""
    matrix = covariances(world).within() / losses / losses[:, None]
    limit = 1 / float((len(losses) / 4 + 1) * matrix.abs().max())  # 1/L of ½z'Az in the logits
    famo = make_scalarizer("famo", world.names, step=limit, decay=0.0)
    log_loss, path = losses.log(), [share]
    state = FamoState(share.log(), log_loss, log_loss, torch.tensor(1))
    for _ in range(steps):
        _, signal = famo.signal(state, Batch(world.rewards, world.prompt))
        # the paper's step is on Σ z_j·log ℓ_j: its weights z/ℓ are not normalised
        total = (path[-1] / losses).sum()
        rate = gain(world, signal.score) * total / losses
        moved = famo.update(state, Observation(losses=losses * (-rate).exp()))
        state = moved._replace(log_losses=log_loss)
        path.append(torch.softmax(state.logits, 0))
    return path


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_it_descends_to_the_min_norm_point_of_the_logarithms_gradients(rung: str) -> None:
    """Z'Az falls every step, A = diag(1/ℓ)·C·diag(1/ℓ), and at its least z stays.

    There all logarithms fall equally fast, and λ ∝ z/ℓ is what covariance-MGDA with target ℓ finds
    at once (T36, raw): FAMO is its integral controller.
    """
    inside = 0
    for world in rung_worlds(rung, 12):
        within = covariances(world).within()
        losses = within.diagonal().sqrt() * torch.arange(1.0, len(within) + 1).double()
        matrix = within / losses / losses[:, None]
        path = frozen_steps(world, losses, torch.full_like(losses, 1 / len(losses)), 30)
        values = [float(z @ matrix @ z) for z in path]
        slack = float(rounding(1.0, 64 * (len(world.prompt) + 8))) * spread(world, losses)
        assert all(after <= before + slack for before, after in pairwise(values))
        best = min_norm_point(matrix)
        assert best.value <= min(values) + slack
        if bool((best.weights > 0).all()):
            [start, end] = frozen_steps(world, losses, best.weights, 1)
            assert ((start - end).abs() <= slack).all()
            options = {"target": losses.tolist(), "geometry": "raw"}
            direct = make_scalarizer("covariance_mgda", world.names, **options)
            _, signal = direct.signal(direct.init(), frozen_batch(world))
            assert signal.weights is not None
            expected = best.weights / losses / (best.weights / losses).sum()
            assert ((signal.weights - expected).abs() <= slack).all()
            inside += 1
    assert inside >= 1


def spread(world: World, losses: Tensor) -> float:
    """(max|r|/ℓ)²: magnitude of the terms of A, whose diagonal is at most 1."""
    return float((world.rewards.abs().max() / losses.min()).square() * 8 + 64)


def test_losses_at_zero_or_out_of_range_are_handled() -> None:
    scalarizer = make_scalarizer("famo", ["a", "b"])
    state = observe(scalarizer, [(1.0, 2.0), (0.0, 1.0)])  # an objective that is done
    assert state.log_losses[0] == pytest.approx(math.log(FLOOR))
    assert torch.isfinite(weights(scalarizer, state)).all()
    for bad in [(-0.1, 1.0), (0.0, 1.0)]:
        with pytest.raises(CovlawError, match="famo needs losses ≥ 0, the first ones > 0"):
            observe(scalarizer, [bad])
    with pytest.raises(CovlawError, match="famo needs finite losses"):
        observe(scalarizer, [(math.nan, 1.0)])
    with pytest.raises(CovlawError, match="famo needs losses after each step"):
        scalarizer.update(scalarizer.init(), Observation())
    with pytest.raises(CovlawError, match="step·decay is 2"):
        make_scalarizer("famo", ["a"], step=2.0, decay=1.0)


def test_decay_pulls_the_logits_back_and_nothing_overflows() -> None:
    scalarizer = make_scalarizer("famo", ["a", "b"], step=1.0, decay=0.1)
    state = scalarizer.init()
    for t in range(300):
        losses = torch.tensor([1e9, 1e9 * 0.5**t]).double()
        state = scalarizer.update(state, Observation(losses=losses))
    assert torch.isfinite(state.logits).all()
    assert weights(scalarizer, state).isfinite().all()
    pulled = state
    for _ in range(100):
        pulled = scalarizer.update(pulled, Observation(losses=pulled.log_losses.exp()))
    assert pulled.logits.abs().max() <= 1e-3 * state.logits.abs().max()

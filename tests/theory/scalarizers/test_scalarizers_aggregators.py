"""UPGrad and Nash-MTL: they conflict with no gradient; TorchJD as referee."""

import warnings
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from frozen_rungs import EXACT_RUNGS, frozen_batch, gain, rung_worlds
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.solvers.nash_bargaining import nash_bargain
from covlaw.theory.statements.scalarization._frozen_worlds import policy_gradients


def weights_of(name: str, gram: Tensor, **options: Any) -> Tensor:
    count = len(gram)
    scalarizer = make_scalarizer(name, [f"objective {j}" for j in range(count)], **options)
    batch = Batch(torch.eye(count).double(), torch.zeros(count).long(), gramian=gram)
    _, signal = scalarizer.signal(scalarizer.init(), batch)
    assert signal.weights is not None
    assert torch.equal(signal.score, signal.weights)  # unit rewards
    return signal.weights


def gramian(seed: int, count: int, spread: float = 0.0) -> Tensor:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, count + 1)) * 10 ** rng.uniform(-spread, spread, (count, 1))
    return torch.as_tensor(rows @ rows.T)


def conflict_allowed(gram: Tensor, weights: Tensor) -> Tensor:
    """What rounding leaves of ⟨g_j, d⟩ ≥ 0, in units of |g_j|·Σ_k λ_k|g_k|: (M,).

    The floors are met to rounding one by one, in a sum of M projections.
    """
    norm = gram.diagonal().sqrt()
    return rounding(norm * (weights * norm).sum(), 64 * len(gram))


def projected(gram: Tensor, preference: Tensor) -> Tensor:
    """UPGrad's weights by enumerating the active sets of min v'Gv, v ≥ p_i e_i, for each i."""
    count, total = len(gram), torch.zeros(len(gram), dtype=torch.float64)
    for i in range(count):
        floor = torch.zeros(count, dtype=torch.float64)
        floor[i] = preference[i]
        best = None
        for bound in product([False, True], repeat=count):
            held, free = torch.tensor(bound), ~torch.tensor(bound)
            point = floor.clone()
            if bool(free.any()):
                right = -(gram[free][:, held] @ floor[held])
                point[free] = torch.linalg.solve(gram[free][:, free], right)
            value = point @ gram @ point
            if bool((point >= floor - 1e-12).all()) and (best is None or value < best[0]):
                best = (value, point)
        assert best is not None
        total += best[1]
    return total / total.sum()


# --- UPGrad -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e18])
@pytest.mark.parametrize("count", range(1, 9))
def test_upgrad_conflicts_with_no_gradient(count: int, scale: float) -> None:
    for seed in range(5):
        gram = scale * gramian(seed, count, spread=3.0)
        weights = weights_of("upgrad", gram)
        assert (gram @ weights >= -conflict_allowed(gram, weights)).all()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_upgrad_is_the_mean_of_the_projections(count: int) -> None:
    """Active sets enumerated, on Gramians with conflict; preference 1, 2, 3, …"""
    conflicts = 0
    for seed in range(12):
        gram, preference = gramian(seed, count), torch.arange(1.0, count + 1).double()
        found = weights_of("upgrad", gram, preference=preference.tolist())
        expected = projected(gram, preference / preference.sum())
        ratio = gram.diagonal().max() / gram.diagonal().min()
        condition = torch.linalg.cond(gram / gram.diagonal().sqrt().outer(gram.diagonal().sqrt()))
        assert ((found - expected).abs() <= rounding(condition * ratio, 4096)).all()
        conflicts += int((expected - preference / preference.sum()).abs().max() > 0.01)
    assert conflicts >= 3


def test_upgrad_without_conflict_is_the_preference() -> None:
    gram = torch.tensor([[1.0, 0.5], [0.5, 4.0]], dtype=torch.float64)
    found = weights_of("upgrad", gram, preference=[1.0, 3.0])
    assert ((found - torch.tensor([0.25, 0.75])).abs() <= rounding(1.0, 256)).all()


def test_upgrad_of_opposed_duplicated_and_vanishing_gradients() -> None:
    opposed = weights_of("upgrad", torch.tensor([[1.0, -2], [-2, 4]]).double())
    assert abs(opposed[0] - 2 * opposed[1]) <= rounding(1.0, 64)  # d = 0
    twins = weights_of("upgrad", torch.tensor([[1.0, 1], [1, 1]]).double())
    assert ((twins - 0.5).abs() <= rounding(1.0, 256)).all()
    gram = torch.tensor([[0.0, 0, 0], [0, 1, -0.5], [0, -0.5, 1]], dtype=torch.float64)
    assert (weights_of("upgrad", gram) > 0).all()
    assert weights_of("upgrad", torch.zeros(2, 2).double()).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_torchjds_upgrad_agrees_up_to_its_regularisation(count: int) -> None:
    """It adds reg_eps times the trace to the diagonal, which shifts λ by as much over the least
    eigenvalue; without any it refuses Gramians that rounding made indefinite."""
    torchjd = pytest.importorskip("torchjd.aggregation")
    projector = pytest.importorskip("torchjd.linalg").QuadprogProjector(norm_eps=0.0, reg_eps=1e-9)
    for seed in range(6):
        gram = gramian(seed, count)
        raised = torchjd.UPGradWeighting(torch.ones(count).double(), projector)(gram)
        shift = 1e-9 * gram.diagonal().sum() / torch.linalg.eigvalsh(gram)[0]
        found = weights_of("upgrad", gram)
        assert ((found - raised / raised.sum()).abs() <= 8 * count * shift).all()


# --- Nash-MTL -----------------------------------------------------------------------------------


def test_nash_mtl_weighs_by_the_bargain_and_stops_where_there_is_none() -> None:
    gram = gramian(0, 4, spread=2.0)
    assert torch.equal(weights_of("nash_mtl", gram), nash_bargain(gram).weights)
    opposed = torch.tensor([[1.0, -2], [-2, 4]], dtype=torch.float64)
    weights = weights_of("nash_mtl", opposed)
    assert weights @ opposed @ weights <= rounding(4.0, 64)


def torchjds_bargain(gram: Tensor) -> Tensor:
    """The weights of TorchJD's NashMTL for rows with these correlations, in units of the norms."""
    aggregators = pytest.importorskip("torchjd.aggregation")
    norm = gram.diagonal().sqrt()
    values, vectors = torch.linalg.eigh(gram / torch.outer(norm, norm))
    rows = vectors * values.clamp(min=0.0).sqrt()  # a Cholesky factor would need full rank
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cvxpy's, about how the programme is parametrised
        power = aggregators.NashMTL(n_tasks=len(rows), max_norm=0.0).weighting(rows)
    weights: Tensor = power.to(gram) / norm
    return weights / weights.sum()


def test_torchjd_ends_at_the_bargain_or_visibly_far_from_it() -> None:
    """Its stopping rule leaves 1e-3 of |Gα − 1/α|, at correlations of order 1; some runs stall."""
    close = 0
    for seed in range(8):
        gram = gramian(seed, 3, spread=3.0)
        exact, found = weights_of("nash_mtl", gram), torchjds_bargain(gram)
        assert (found > 0).all()
        close += int((found / exact - 1).abs().max() <= 1e-2)
    assert close >= 6


def test_nash_mtl_handles_one_objective_and_gradients_that_vanish() -> None:
    assert weights_of("nash_mtl", torch.tensor([[4.0]]).double()).tolist() == [1]
    zero = torch.zeros(2, 2, dtype=torch.float64)
    assert weights_of("nash_mtl", zero).tolist() == [0.5, 0.5]


# --- both, on worlds ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["upgrad", "nash_mtl"])
@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_no_policy_gradient_is_opposed_and_covariances_follow_the_weights(
    name: str, rung: str
) -> None:
    """E5's geometry: ⟨g_j, d⟩ ≥ 0 for d itself; E6: Cov_j = (Cλ)_j, of any sign."""
    for world in rung_worlds(rung, 4):
        gradients, batch = policy_gradients(world), frozen_batch(world)
        scalarizer = make_scalarizer(name, world.names)
        batch = batch._replace(gramian=gradients @ gradients.T)
        assert batch.gramian is not None
        _, signal = scalarizer.signal(scalarizer.init(), batch)
        assert signal.weights is not None
        slope = gradients @ (signal.weights @ gradients)
        assert (slope >= -2 * conflict_allowed(batch.gramian, signal.weights)).all()
        matrix = covariance_matrix(batch.rewards, batch.prompt, batch.mass, batch.prompt_mass)
        largest = world.rewards.abs().amax(0)
        allowed = rounding(4 * largest * largest.max(), 64 * (len(world.prompt) + 8))
        assert ((gain(world, signal.score) - matrix @ signal.weights).abs() <= allowed).all()
        if name == "nash_mtl" and bool(min_norm_point(batch.gramian).value > 0):
            assert (slope > -2 * conflict_allowed(batch.gramian, signal.weights)).all()


def test_protection_belongs_to_the_gradients_geometry() -> None:
    """Of 60 conflict bandits some get weights under which a reward covariance is negative."""
    from covlaw.theory.statements.scalarization._frozen_worlds import conflict_worlds

    negative = dict.fromkeys(("upgrad", "nash_mtl"), 0)
    for world in conflict_worlds(np.random.default_rng(0), 60):
        gradients, batch = policy_gradients(world), frozen_batch(world)
        batch = batch._replace(gramian=gradients @ gradients.T)
        for name in negative:
            scalarizer = make_scalarizer(name, world.names)
            _, signal = scalarizer.signal(scalarizer.init(), batch)
            gains, size = gain(world, signal.score), world.rewards.abs().max().square()
            negative[name] += int((gains < -rounding(size, 1024)).any())
    assert min(negative.values()) > 0

"""RVPO, DVAO and GAPO: their limits, what a scale does, and examples by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Signal, make_scalarizer
from covlaw.theory.scalarizers.gapo import rescaled_min_norm_weights
from covlaw.theory.scalarizers.rvpo import soft_minimum


def signal(name: str, batch: Batch, **options: object) -> Signal:
    names = [f"objective {j}" for j in range(batch.rewards.shape[1])]
    scalarizer = make_scalarizer(name, names, **options)
    return scalarizer.signal(scalarizer.init(), batch)[1]


def sampled(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    gradients = torch.as_tensor(rng.normal(size=(3, 6)) * [[1.0], [10.0], [0.1]])
    rewards = torch.as_tensor(rng.normal(size=(24, 3)))
    return Batch(rewards, torch.as_tensor(rng.permutation(24) % 4), gramian=gradients @ gradients.T)


def test_rvpo_lies_between_gdpo_and_the_least_z_score() -> None:
    """k → 0: GDPO, within k·max z²; k → ∞: the least z-score, within log M/k."""
    batch = sampled()
    gdpo = signal("gdpo", batch, whiten=False).score
    blunt = signal("rvpo", batch, whiten=False, sharpness=1e-6).score
    assert ((blunt - gdpo).abs() <= 1e-6 * 24).all()  # |z| < √K, variance of z at most K
    assert not ((signal("rvpo", batch, whiten=False).score - gdpo).abs() <= 0.01).all()
    z = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64)
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    sharp = soft_minimum(z, third, 100.0)
    assert (sharp >= z.amin(1)).all()
    assert (sharp <= z.amin(1) + math.log(3) / 100 + 1e-12).all()


def test_rvpo_by_hand() -> None:
    """k = log 2: −log₂ of the mean of 2^{−z}: z = (1, −1) → −log₂(5/4)."""
    z = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    half = torch.full((2,), 0.5, dtype=torch.float64)
    assert float(soft_minimum(z, half, math.log(2))) == pytest.approx(-math.log2(1.25), rel=1e-14)


def test_dvao_weighs_groups_by_their_own_variance() -> None:
    """sd (1, 2) and then (3, 0): weights (1/5, 4/5) and (1, 0)."""
    plus, still = [1.0, -1.0], [0.0, 0.0]
    rewards = torch.tensor(
        [*zip(plus, [2.0, -2.0], strict=True), *zip([3.0, -3.0], still, strict=True)],
        dtype=torch.float64,
    )
    half = torch.full((4,), 0.5, dtype=torch.float64)
    batch = Batch(rewards, torch.tensor([0, 0, 1, 1]), half)
    found = signal("dvao", batch)
    assert found.weights is not None
    assert found.weights.tolist() == pytest.approx([0.6, 0.4], rel=1e-14)
    assert found.score.tolist() == pytest.approx([1, -1, 1, -1], rel=1e-14)
    opposed = rewards * torch.tensor([1.0, -1.0], dtype=torch.float64)
    turned = signal("dvao", batch._replace(rewards=opposed))
    assert turned.score.tolist() == pytest.approx([-0.6, 0.6, 1, -1], rel=1e-14)
    assert signal("dvao", batch._replace(rewards=opposed), power=0).score.tolist()[:2] == [0, 0]


def test_dvao_without_power_is_gdpo_and_hears_scales_with_it() -> None:
    batch = sampled()
    plain = signal("gdpo", batch, whiten=False).score
    assert ((signal("dvao", batch, power=0).score - plain).abs() <= rounding(8.0, 256)).all()
    louder = batch._replace(rewards=batch.rewards * torch.tensor([1.0, 100.0, 1.0]).double())
    weights = signal("dvao", louder).weights
    assert weights is not None
    assert weights[1] > 0.99


def gapo_effects(gram: Tensor, power: float) -> Tensor:
    return gram @ rescaled_min_norm_weights(gram, power)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_gapo_gains_every_objective_by_its_length_to_the_power(power: float) -> None:
    """⟨g_j, d⟩/|g_j|^p is the same for every objective with weight, and no less for the others."""
    gram = sampled().gramian
    assert gram is not None
    effect = gapo_effects(gram, power) / gram.diagonal() ** (power / 2)
    weights = rescaled_min_norm_weights(gram, power)
    assert abs(weights.sum() - 1) <= rounding(1.0, 64)
    least = effect.min()
    assert least > 0
    assert (effect[weights > 0] <= least * (1 + 1e-9)).all()  # as near as the solver's KKT gap


def test_gapo_by_hand_orthogonal_gradients() -> None:
    """|g| = (1, 2), orthogonal. p = 0: λ ∝ 1/|g|²; p = 1: α = (½, ½), λ ∝ 1/|g|; p = 2: λ = ½."""
    gram = torch.tensor([[1.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    for power, expected in ((0.0, (4 / 5, 1 / 5)), (1.0, (2 / 3, 1 / 3))):
        found = rescaled_min_norm_weights(gram, power)
        assert found.tolist() == pytest.approx(expected, rel=1e-12)
    # ĝ = g/|g|² has squared lengths (1, ¼): α = (1/5, 4/5), λ ∝ (1/5, 1/5)
    assert rescaled_min_norm_weights(gram, 2.0).tolist() == pytest.approx((0.5, 0.5), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_gapo_takes_any_scale_and_leaves_a_zero_gradient_alone(scale: float) -> None:
    gram = torch.tensor([[1.0, -0.5], [-0.5, 4.0]], dtype=torch.float64)
    expected = rescaled_min_norm_weights(gram, 1.0)
    found = rescaled_min_norm_weights(gram * scale, 1.0)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    still = torch.tensor([[0.0, 0.0], [0.0, 4.0]], dtype=torch.float64) * scale
    assert rescaled_min_norm_weights(still, 1.0).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("rvpo", "sharpness", 0.0), ("dvao", "power", -1.0), ("gapo", "power", -1.0)],
)
def test_options_outside_their_domain_are_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(CovlawError, match=option):
        make_scalarizer(name, ["a", "b"], **{option: value})

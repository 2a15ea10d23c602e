"""In float32 e^89 is inf: a clipped token must still have a value, and no gradient, not NaN."""

import math

import pytest
import torch

from covlaw.theory.losses import LOSSES, PolicyLoss
from covlaw.theory.losses.cispo import CISPO
from covlaw.theory.losses.gspo import GSPO, GSPOToken
from covlaw.theory.losses.ppo import DAPO, PPO

FAR = 89.0

CASES = [
    # loss, advantage, log-ratio, loss's value, gradient of the log-ratio
    (PPO(), 1.0, FAR, -1.2, 0.0),
    (PPO(), 0.0, FAR, 0.0, 0.0),
    (PPO(1.0, math.inf), 0.0, FAR, 0.0, 0.0),
    (PPO(dual_clip=3.0), -1.0, FAR, 3.0, 0.0),
    (PPO(dual_clip=3.0), -2.0, -FAR, 1.6, 0.0),
    (PPO(), -2.0, -2 * FAR, 1.6, 0.0),
    (DAPO(), 2.0, FAR, -2.56, 0.0),
    (GSPO(), 1.0, FAR, -1.0004, 0.0),
    (GSPO(), 0.0, FAR, 0.0, 0.0),
    (GSPO(dual_clip=3.0), -1.0, FAR, 3.0, 0.0),
    (GSPOToken(), 1.0, FAR, -1.0004, 0.0),
    (GSPOToken(dual_clip=3.0), -1.0, FAR, 3.0, 0.0),
    (CISPO(), 1.0, FAR, -5 * FAR, -5.0),
    (CISPO(), -1.0, FAR, 5 * FAR, 5.0),
    (CISPO(1.0, math.inf), 0.0, FAR, 0.0, 0.0),
]


def test_every_loss_has_a_row() -> None:
    assert {type(row[0]) for row in CASES} == {LOSSES[name] for name in LOSSES}


@pytest.mark.parametrize(("loss", "advantage", "far", "value", "slope"), CASES)
def test_a_ratio_that_overflows_has_its_value_and_its_gradient(
    loss: PolicyLoss, advantage: float, far: float, value: float, slope: float
) -> None:
    log_ratio = torch.tensor([[far]], requires_grad=True)  # float32
    found = loss.loss(torch.tensor([advantage]), log_ratio, torch.ones(1, 1))
    found.backward()
    assert log_ratio.grad is not None
    unit = 2.0**-23  # one rounding of the range, one of the product
    assert found.item() == pytest.approx(value, rel=2 * unit, abs=0)
    assert log_ratio.grad.item() == pytest.approx(slope, rel=2 * unit, abs=0)
    low, high = loss.clipped(torch.tensor([advantage]), log_ratio.detach(), torch.ones(1, 1))
    assert not (low & high).any()


def test_the_tokens_beside_it_keep_their_gradients() -> None:
    log_ratio = torch.tensor([[0.1, FAR], [-0.1, -FAR]], requires_grad=True)
    advantage, mask = torch.tensor([1.0, -1.0]), torch.ones(2, 2)
    PPO().loss(advantage, log_ratio, mask).backward()
    exact = log_ratio.detach().double()
    expected = -PPO().token_weight(advantage, exact, mask) / 2
    assert log_ratio.grad is not None
    assert torch.allclose(log_ratio.grad.double(), expected, rtol=4 * 2.0**-23, atol=0)


@pytest.mark.parametrize("loss", [PPO(), CISPO(1.0, math.inf), GSPO()])
def test_a_nan_inside_a_completion_shows(loss: PolicyLoss) -> None:
    log_ratio = torch.tensor([[math.nan, 0.0]])
    assert math.isnan(loss.loss(torch.ones(1), log_ratio, torch.ones(1, 2)).item())

"""Crossed Gramians are unbiased, shrunk ones usable; a heavy-noise guard does no harm (T62)."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import crossed_gramian, crossed_products, guard_step, shrunk_gramian
from covlaw.theory.guard.products import gramian_of

SIZE, NOISE = 400, (0.02, 0.2)
TRUTH = torch.tensor([[1.0, 0.2], [0.2, 1.04]]).double()


def noisy_halves(seed: int) -> tuple[Tensor, Tensor]:
    """THEORY's example: two gradients in 400 dimensions, noise of .02 and .2 a coordinate."""
    rng = np.random.default_rng(seed)
    true = np.zeros((2, SIZE))
    true[0, 0], true[1, :2] = 1.0, (0.2, 1.0)
    noise = np.array(NOISE)[:, None]
    # a half has twice the variance of the whole
    first, second = (true + np.sqrt(2) * noise * rng.normal(size=(2, SIZE)) for _ in range(2))
    return torch.as_tensor(first), torch.as_tensor(second)


def test_the_plain_gramians_diagonal_is_noise_and_the_crossed_one_is_not() -> None:
    """Noise adds D·σ² to the diagonal: .16 and 16."""
    plain, crossed = torch.zeros(2, 2).double(), torch.zeros(2, 2).double()
    for seed in range(200):
        a, b = noisy_halves(seed)
        plain += gramian_of((a + b) / 2, (a + b) / 2) / 200
        crossed += crossed_gramian(crossed_products(a, b)) / 200
    biased = TRUTH + torch.diag(SIZE * torch.tensor(NOISE).double().square())
    # standard error of a mean of 200: √(2D)σ²/√200 at most, twice that crossed
    assert (plain - biased).abs().max() < 4 * (2 * SIZE) ** 0.5 * 0.04 / 200**0.5
    assert (crossed - TRUTH).abs().max() < 4 * 2 * (2 * SIZE) ** 0.5 * 0.04 / 200**0.5
    assert plain[1, 1] > 15


def test_shrunk_gramians_are_psd_and_between_the_two() -> None:
    for seed in range(20):
        a, b = noisy_halves(seed)
        plain = gramian_of((a + b) / 2, (a + b) / 2)
        found = shrunk_gramian(crossed_products(a, b), plain)
        assert 0 <= found.share <= 1
        assert torch.linalg.eigvalsh(found.gram)[0] >= -1e-12 * plain.diagonal().sum()
    exact = shrunk_gramian(TRUTH, TRUTH + torch.eye(2).double())
    torch.testing.assert_close(exact.gram, TRUTH)  # X = X': no noise, so nothing to shrink to
    alone = shrunk_gramian(torch.tensor([[-0.1]]), torch.tensor([[2.0]]))
    assert alone.gram.item() == 2.0  # one objective shows no error: the plain Gramian


@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_heavy_noise_and_an_indefinite_gramian_do_no_harm(floor: float) -> None:
    """Paired with no guard at all, over 300 draws of a conflict: less is lost."""
    rng = np.random.default_rng(0)
    worst, worst_plain, indefinite = [], [], 0
    for _ in range(300):
        true = rng.normal(size=(3, 60)) / 60**0.5
        u = true[0] - 0.8 * true[1] + 0.3 * rng.normal(size=60) / 60**0.5
        a, b = (torch.as_tensor(true + 0.3 * rng.normal(size=true.shape)) for _ in range(2))
        mean = (a + b) / 2
        products = crossed_products(a, b)
        indefinite += int(torch.linalg.eigvalsh(crossed_gramian(products))[0] < 0)
        gram = shrunk_gramian(products, gramian_of(mean, mean)).gram
        found = guard_step(torch.as_tensor(u), mean, floor=floor, gram=gram)
        assert found.length <= 1 + 1e-12
        worst.append((true @ found.step.numpy()).min())
        worst_plain.append((true @ u).min())
    assert indefinite > 30
    gain = np.array(worst) - np.array(worst_plain)
    assert gain.mean() > 5 * gain.std() / 300**0.5


def test_bad_input_is_named() -> None:
    with pytest.raises(CovlawError, match="halves"):
        crossed_products(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(CovlawError, match="plain has shape"):
        shrunk_gramian(torch.eye(2), torch.eye(3))
    with pytest.raises(CovlawError, match="not finite"):
        crossed_gramian(torch.full((2, 2), torch.nan))

"""T6b's root is a branch of Lambert's W, accurate for small k too."""

import mpmath
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.tilts.thresholds import one_prompt_threshold
from covlaw.theory.tilts.tilt_problem import tilt_problem


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def lambert_root(k: float) -> float:
    """x* = −a − W_{−1}(−a e^{−a}), a = 1/(1+k), in 60 digits: the solution of (e^x−1−x)/x = k."""
    with mpmath.workdps(60):
        a = 1 / (1 + mpmath.mpf(k))
        return float(-a - mpmath.lambertw(-a * mpmath.exp(-a), -1).real)


def bernoulli_case(k: float) -> tuple[Tensor, Tensor, Tensor]:
    """r = s = Bernoulli(p): b|C|/(R_− Var s) = (1 − p)/p = k."""
    p = 1 / (1 + k)
    return vector(0, 1), vector(0, 1), vector(1 - p, p)


@pytest.mark.parametrize("k", [1e-12, 1e-8, 0.01, 0.3, 1.0, 10.0, 1e6])
def test_the_one_prompt_threshold_is_lambert_w(k: float) -> None:
    reward, score, mass = bernoulli_case(k)
    problem = tilt_problem(reward, score, Grouping(torch.zeros(2, dtype=torch.int64), mass))
    k_stored = float(mass[0] / mass[1])  # what the rounded masses stand for
    reach = problem.scores.rise.item()
    assert reach == pytest.approx(float(mass[0]), rel=1e-14)
    assert one_prompt_threshold(problem).item() * reach == pytest.approx(
        lambert_root(k_stored), rel=1e-12
    )

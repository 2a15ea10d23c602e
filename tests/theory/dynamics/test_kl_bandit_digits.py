"""T46 near the optimum, where sums of π·ℓ cancel: a fifty-digit referee."""

import mpmath
import numpy as np
import pytest
import torch

from covlaw.theory.dynamics.kl_bandit import best_log_prob, divergence, excess
from covlaw.theory.statements.convergence._regularised_rows import random_regularised


def exact_divergence(log_prob: torch.Tensor, best: torch.Tensor) -> mpmath.mpf:
    """KL in 50 digits, π and ℓ taken as given and π* normalised from them."""
    p = [mpmath.e ** mpmath.mpf(v) for v in log_prob.tolist()]
    ell = [
        mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(log_prob.tolist(), best.tolist(), strict=True)
    ]
    q = [a * mpmath.e ** (-e) for a, e in zip(p, ell, strict=True)]
    p = [a / mpmath.fsum(p) for a in p]
    q = [a / mpmath.fsum(q) for a in q]
    return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))


def test_divergence_keeps_its_digits_near_the_optimum() -> None:
    """Where the naive sum of π·ℓ has lost most of them: KL down to 1e-13."""
    mpmath.mp.dps = 50
    rows = random_regularised(np.random.default_rng(0), 400)
    best = best_log_prob(rows.score, rows.reference, 1.0)
    found = divergence(rows.log_prob, best)
    checked = (found < 1e-8).nonzero()[:, 0][:40]
    assert len(checked) == 40
    for k in checked.tolist():
        own = excess(rows.log_prob[k], best[k]).abs().max().item()
        exact = exact_divergence(rows.log_prob[k], best[k])
        # ℓ itself is given; a constant in it enters squared
        assert found[k].item() == pytest.approx(float(exact), rel=1e-12 + (1e-14 / own) ** 2)


def test_exact_ratios_near_the_optimum_exceed_one() -> None:
    """The bound holds in 50 digits for every policy at KL below 1e-9, however near to equality."""
    mpmath.mp.dps = 50
    rows = random_regularised(np.random.default_rng(1), 400)
    best = best_log_prob(rows.score, rows.reference, 1.0)
    for k in (divergence(rows.log_prob, best) < 1e-9).nonzero()[:, 0][:40].tolist():
        p = [mpmath.e ** mpmath.mpf(v) for v in rows.log_prob[k].tolist()]
        p = [a / mpmath.fsum(p) for a in p]
        ell = [
            mpmath.mpf(a) - mpmath.mpf(b)
            for a, b in zip(rows.log_prob[k].tolist(), best[k].tolist(), strict=True)
        ]
        mean = mpmath.fsum(a * e for a, e in zip(p, ell, strict=True))
        variance = mpmath.fsum(a * (e - mean) ** 2 for a, e in zip(p, ell, strict=True))
        b = max(mean - e for e in ell)
        growth = (mpmath.e**b - 1 - b) / b**2
        assert variance * growth > exact_divergence(rows.log_prob[k], best[k])

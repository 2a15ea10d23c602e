"""T41, T42, T43, T49, F10: hold, are tight, and break when a formula is changed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements import check
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence import _drifting_problems as drifting_problems
from covlaw.theory.statements.convergence import _pl_problems as pl_problems
from covlaw.theory.statements.convergence import drifting_weights_cost_their_path_length as t43
from covlaw.theory.statements.convergence import gradient_noise_leaves_a_floor as t42
from covlaw.theory.statements.convergence import (
    gradient_steps_contract_under_smoothness_and_pl as t41,
)

IDS = ("T41", "T42", "T43", "T49", "F10")


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", IDS)
@pytest.mark.parametrize("seed", [0, 3])
def test_holds_and_its_control_is_refuted(statement_id: str, seed: int) -> None:
    verdict = check(statement_id, "theory", seed)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("statement_id", IDS)
@pytest.mark.parametrize("rung", ["bandit", "tabular", "transformer", "llm"])
def test_policies_have_no_global_pl_constant(statement_id: str, rung: str) -> None:
    verdict = check(statement_id, rung)
    assert verdict.status == "not_applicable"
    assert "T45" in verdict.note


@pytest.mark.parametrize("statement_id", ["T41", "T42"])
def test_tight_where_mu_is_l(statement_id: str) -> None:
    tightness = check(statement_id, "theory", 0).tightness
    assert tightness is not None
    assert 1 - 1e-9 < tightness <= 1


def test_chunks_add_up_to_the_count() -> None:
    for draw in (pl_problems.draw_problems, drifting_problems.draw_drifting):
        sizes = [len(batch.start) for batch in draw(np.random.default_rng(0), 700)]
        assert sum(sizes) == 700
        assert max(sizes) <= 512


def scaled(rate: Callable[..., Tensor], factor: float) -> Callable[..., Tensor]:
    return lambda *arguments: factor * rate(*arguments)


@pytest.mark.parametrize("name", ["classic_rate", "improved_rate"])
def test_t41_refutes_a_factor_one_percent_smaller(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(t41, name, scaled(getattr(t41, name), 0.99))
    assert check("T41", "theory", 0).status == "refuted"


def test_t41_refutes_the_rate_of_strongly_convex_quadratics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mean_of_both(mu: Tensor, smoothness: Tensor, step: Tensor) -> Tensor:
        return (1 - mu * step) * (1 - smoothness * step)

    monkeypatch.setattr(t41, "improved_rate", mean_of_both)
    assert check("T41", "theory", 0).status == "refuted"


@pytest.mark.parametrize("length", [0.1, 0.5, 1.0])
def test_in_one_variable_the_quadratics_rate_holds_without_convexity(length: float) -> None:
    """√f falls by μγ√f at least: why no random sum of such functions refutes (1 − μγ)², γ ≤ 1/L."""
    x = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    x = x[x != 0]
    step = length / bumpy.SMOOTHNESS
    after = bumpy.value(x - step * bumpy.slope(x)) / bumpy.value(x)
    bound = (1 - bumpy.PL * step) ** 2
    assert float(after.max()) <= bound * (1 + rounding(1.0, 64))
    # with a constant a third larger it is false
    assert float(after.max()) > (1 - 1.3 * bumpy.PL * step) ** 2


def test_t42_refutes_a_floor_one_percent_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t42, "noisy_gap_bound", scaled(t42.noisy_gap_bound, 0.99))
    assert check("T42", "theory", 0).status == "refuted"


def test_t42_enumeration_agrees_with_monte_carlo() -> None:
    batch = next(pl_problems.draw_problems(np.random.default_rng(5), 1))
    sigma = batch.smoothness
    captured: list[Tensor] = []

    def record(initial: Tensor, steps: int, *constants: Tensor) -> Tensor:
        captured.append(initial)
        return torch.full_like(initial, torch.inf)

    exact = t42._enumerated(batch, np.random.default_rng(1), sigma, record)[0]
    rng, runs = np.random.default_rng(1), 4000
    x = batch.start[:, :1].expand(-1, runs, -1)
    signs = np.random.default_rng(2)
    for _ in range(t42.STEPS):
        kick = t42._kick(rng, batch.start[:, :1]) * (batch.step * sigma)[:, None, None]
        sign = torch.as_tensor(signs.choice([-1.0, 1.0], (1, runs, 1)))
        x = batch.descend(x) + sign * kick
    final = batch.value(x)[0]
    error = final.std().item() / runs**0.5
    assert abs(final.mean().item() - exact[-1].item()) <= 4.5 * error
    assert len(captured) == t42.STEPS


def test_t43_refutes_a_drift_without_the_change_of_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = scaled(t43.exact_drifts, 0.5)
    monkeypatch.setattr(t43, "exact_drifts", half)
    assert check("T43", "theory", 0).status == "refuted"


def test_ctwa_weights_only_rise_so_that_their_path_is_their_displacement() -> None:
    path = drifting_problems.ctwa_path(np.random.default_rng(0), 50, 3)
    moves = np.diff(path, axis=1)
    assert (moves >= 0).all()
    assert (moves > 0).any()
    length = np.abs(moves).sum((1, 2))
    np.testing.assert_allclose(length, (path[:, -1] - path[:, 0]).sum(1), rtol=1e-12)


def test_drifting_problems_agree_with_plain_maximisation() -> None:
    batch = next(drifting_problems.draw_drifting(np.random.default_rng(2), 5))
    run = drifting_problems.ascend(batch)
    total = (batch.weights * batch.values(run.theta)).sum(-1)
    best = (batch.weights * batch.values(run.optima)).sum(-1)
    torch.testing.assert_close(best - total, run.gap, rtol=1e-9, atol=1e-9 * float(run.gap.max()))


@pytest.mark.parametrize("seed", range(3))
def test_the_batch_constants_hold_for_its_gradients(seed: int) -> None:
    """Autograd and an independent look at |∇f|² between 2μf and 2Lf."""
    batch = next(pl_problems.draw_problems(np.random.default_rng(seed), 40))
    x = batch.start.clone().requires_grad_()
    values = batch.value(x)
    gradient = torch.autograd.grad(values.sum(), x)[0]
    scale = batch.smoothness[:, None, None] * batch.start.norm(dim=-1, keepdim=True)
    assert float(((gradient - batch.gradient(batch.start)).abs() / scale).max()) < 1e-13
    square = gradient.square().sum(-1)
    assert bool((square >= 2 * batch.mu[:, None] * values * (1 - 1e-12)).all())
    assert bool((square <= 2 * batch.smoothness[:, None] * values * (1 + 1e-12)).all())

"""T30–T40, F8, F9: hold with refuted controls, and fail once a formula is mutated."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
import sympy as sp
import torch

from covlaw.theory.dynamics import ctwa_bounds
from covlaw.theory.dynamics.ctwa_signals import grpo_signal
from covlaw.theory.estimators import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import MinNorm, min_norm_point
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements.ctwa import _bundles_and_weights as bundles_and_weights
from covlaw.theory.statements.ctwa import _climbing as climbing
from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic
from covlaw.theory.statements.ctwa import _whitening_examples as whitening_examples
from covlaw.theory.statements.ctwa import all_objectives_can_rise_unless_a_bundle_is_constant as t30
from covlaw.theory.statements.ctwa import global_whitening_can_diverge_on_feasible_targets as t38
from covlaw.theory.statements.ctwa import grpo_ctwa_converges_exactly_if_feasible as t37
from covlaw.theory.statements.ctwa import headroom_is_the_least_mean_std_of_a_bundle as t36
from covlaw.theory.statements.ctwa import infeasible_weights_grow_forever as t34
from covlaw.theory.statements.ctwa import min_norm_weights_raise_every_objective as t31
from covlaw.theory.statements.ctwa import raw_ctwa_climbs_to_its_targets as t33
from covlaw.theory.statements.ctwa import raw_targets_are_reachable_whatever_their_size as t32
from covlaw.theory.statements.ctwa import slow_running_means_overshoot as t40
from covlaw.theory.statements.ctwa import success_makes_fixed_targets_infeasible as t39
from covlaw.theory.statements.ctwa._problems import draw_problems, one_prompt
from covlaw.theory.statements.false_claims import raising_a_weight_can_lower_its_covariance as f9

IDS = [f"T{k}" for k in range(30, 41)] + ["F8", "F9"]
ELSEWHERE = [(i, rung) for i in IDS for rung in ("bandit", "tabular") if i != "T40"]


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("id", IDS)
def test_holds_and_its_control_is_refuted(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed, instances=28)
    assert (verdict.status, verdict.violations) == ("holds", 0)


@pytest.mark.parametrize(("id", "rung"), ELSEWHERE)
def test_holds_on_other_rungs(id: str, rung: str) -> None:
    expected = "holds" if rung not in STATEMENTS[id].not_applicable else "not_applicable"
    assert check(id, rung, instances=6).status == expected


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS[:10])
def test_holds_on_transformers(id: str) -> None:
    assert check(id, "transformer").status == "holds"


def shrink(factor: float, original: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def mutated(*args: object) -> torch.Tensor:
        return factor * original(*args)

    return mutated


def wrong_weights(gram: torch.Tensor) -> MinNorm:
    found = min_norm_point(gram)
    uniform = torch.full_like(found.weights, 1 / gram.shape[-1])
    return MinNorm(uniform, found.value, found.gap)


def off_optimum(problems: PromptCovariances, targets: torch.Tensor) -> headroom.Headroom:
    found = headroom.headroom(problems, targets)
    return headroom.Headroom(1.001 * found.factor, 1.001 * found.lower, found.bundle)


def all_positive(matrix: torch.Tensor) -> MinNorm:
    found = min_norm_point(matrix)
    return MinNorm(found.weights, found.value + 1, found.gap)


Mutation = tuple[str, object, str, object]
MUTATIONS: list[Mutation] = [
    ("T30", t30, "min_norm_point", all_positive),
    ("T31", t31, "min_norm_point", wrong_weights),
    ("T32", t32, "min_norm_point", all_positive),
    ("T33", t33, "raw_weight_bound", shrink(0.995, ctwa_bounds.raw_weight_bound)),
    ("T33", t33, "raw_step_limit", shrink(300.0, ctwa_bounds.raw_step_limit)),
    ("T33", t33, "raw_potential", shrink(0.4, ctwa_bounds.raw_potential)),
    ("T35", bundles_and_weights, "headroom", off_optimum),
    ("T35", bundles_and_weights, "grpo_signal", shrink(1.001, grpo_signal)),
    ("T36", t36, "headroom", off_optimum),
    ("T37", climbing, "grpo_weight_bound", shrink(0.1, ctwa_bounds.grpo_weight_bound)),
    ("T37", climbing, "grpo_potential", shrink(0.4, ctwa_bounds.grpo_potential)),
    ("T37", t37, "grpo_potential", shrink(1.005, ctwa_bounds.grpo_potential)),
    ("T38", t38, "own_gains", shrink(1.001, whitening_examples.own_gains)),
    ("T39", t39, "STEP", 0.04),
    ("T40", t40, "overshoot", shrink(1.05, t40.overshoot)),
    ("F9", f9, "LISTED", (0.5, 1.0)),
]


@pytest.mark.parametrize(
    ("id", "module", "name", "mutant"),
    MUTATIONS,
    ids=[f"{m[0]}-{m[2]}-{k}" for k, m in enumerate(MUTATIONS)],
)
def test_a_mutated_formula_is_refuted(
    id: str, module: object, name: str, mutant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "STEP":  # the loop keeps its own step: only the forecast is wrong
        loop = partial(t39.closed_loop)
        monkeypatch.setattr(t39, "closed_loop", lambda b, c, _, r, n: loop(b, c, 0.05, r, n))
    monkeypatch.setattr(module, name, mutant)
    assert check(id, "theory", instances=28).status == "refuted"


def test_growth_of_infeasible_weights_is_attained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("T34", instances=28).tightness == pytest.approx(1.0, abs=1e-9)
    monkeypatch.setattr(t34, "with_constant_bundle", _nearly_constant(t34.with_constant_bundle))
    assert check("T34", instances=28).status == "refuted"


def _nearly_constant(original: Callable[..., tuple]) -> Callable[..., tuple]:
    def mutated(*args: object) -> tuple:
        problems, bundle, size = original(*args)
        return problems, bundle * torch.linspace(0.5, 1.5, len(bundle)), size

    return mutated


@pytest.mark.parametrize(
    "residual",
    [
        symbolic.farkas_residual,
        symbolic.margin_residual,
        symbolic.kkt_residual,
        symbolic.ascent_residual,
        symbolic.gain_residual,
        symbolic.gradient_residual,
        symbolic.homogeneity_residual,
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_residuals_vanish(residual: Callable[[int], sp.Expr], count: int) -> None:
    assert residual(count) == 0


def test_a_gram_that_is_not_symmetric_breaks_the_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    def skewed(count: int, rows: int | None = None) -> tuple[sp.Matrix, sp.Matrix]:
        factor = sp.Matrix(rows or count, count, lambda i, j: sp.Symbol(f"r{i}{j}", real=True))
        matrix = factor.T * factor
        matrix[0, 1] += sp.Symbol("skew", real=True)
        return factor, matrix

    monkeypatch.setattr(symbolic, "_gram", skewed)
    for residual in (
        symbolic.farkas_residual,
        symbolic.margin_residual,
        symbolic.kkt_residual,
        symbolic.ascent_residual,
        symbolic.gradient_residual,
    ):
        assert sp.simplify(residual(2)) != 0


def test_a_wrong_derivative_breaks_the_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    derivative = sp.diff
    monkeypatch.setattr(symbolic.sp, "diff", lambda *args: 2 * derivative(*args))
    for residual in (symbolic.gain_residual, symbolic.homogeneity_residual):
        assert sp.simplify(residual(2)) != 0


@pytest.mark.parametrize(("target", "limit"), [(0.15, 0.9770), (0.08, 0.9936)])
def test_success_thresholds(target: float, limit: float) -> None:
    def fits(p: float) -> bool:
        goal = torch.tensor([[target]], dtype=torch.float64)
        return headroom.headroom(one_prompt([[p * (1 - p)]]), goal).factor.item() >= 1

    assert fits(limit - 1e-4)
    assert not fits(limit + 1e-4)
    assert not fits(1 - limit - 1e-4)


def test_f9_is_the_smallest_gain_formula() -> None:
    assert [round(f9.covariance_of_first("whitened", w).item(), 4) for w in (3, 4)] == [
        0.305,
        0.3032,
    ]
    below = f9.covariance_of_first("whitened", 1.9) - f9.covariance_of_first("whitened", 1.8)
    assert below.item() > 0  # the turn is at λ_1 = 2λ_2


def test_batches_are_of_every_size() -> None:
    batches: Iterator[PromptCovariances] = draw_problems(np.random.default_rng(0), 210)
    shapes = [batch.matrices.shape for batch in batches]
    assert {shape[-1] for shape in shapes} == set(range(2, 9))
    assert sum(shape[0] for shape in shapes) == 210

"""T13 holds on every enumerated rung, and fails once it is mutated."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch

from covlaw.theory.geometry import kernel_spectrum
from covlaw.theory.geometry.kernel_spectrum import (
    extremal_pair,
    score_kernel_spectrum,
    sign_threshold,
)
from covlaw.theory.statements import check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.base import joined
from covlaw.theory.statements.gradients import _symbolic_spectrum as symbolic
from covlaw.theory.statements.gradients import kernel_spread_bounds_the_disagreement as t13
from covlaw.theory.statements.gradients._gradient_pairs import attaining_pairs, measure
from covlaw.theory.statements.judge import judge
from covlaw.toys.bandit import bandit_world


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_holds_and_its_control_is_refuted(seed: int) -> None:
    verdict = check("T13", "theory", seed, instances=60)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]
    assert verdict.tightness is not None
    assert 1 - 1e-9 < verdict.tightness <= 1


@pytest.mark.parametrize("rung", ["bandit", "tabular"])
def test_holds_on_other_rungs(rung: str) -> None:
    assert check("T13", rung, 3, 12).status == "holds"


def test_holds_on_transformers() -> None:
    assert check("T13", "transformer", 1, 2).status == "holds"


def test_leaving_out_the_prompt_mass_certifies_wrong_signs() -> None:
    """Uniform arms: each prompt's own κ is 1, so every sign would be certified; one is wrong."""
    share = torch.tensor([0.9, 0.1], dtype=torch.float64)
    world = bandit_world(np.random.default_rng(0), 2, 3, 2, spread=0.0, prompt_mass=share)
    spectrum = score_kernel_spectrum(world)
    assert float(sign_threshold(spectrum)) == pytest.approx(0.8, rel=1e-12)
    alone = score_kernel_spectrum(replace(world, prompt_mass=None, cache={}))
    assert float(sign_threshold(alone)) <= 1e-12
    r, s = extremal_pair(spectrum, -0.5)
    pair = measure(world, r[:, None], s[:, None])
    assert pair.covariance.item() < 0 < pair.alignment.item()
    pairs = measure(world, *attaining_pairs(spectrum, np.random.default_rng(0)))
    own = alone._replace(eigenvalues=2 * alone.eigenvalues)
    found = judge("bound", [joined(t13._bounded(own, pairs))])
    assert found is not None
    assert found.violations > 0


@pytest.mark.parametrize("factor", [0.9, 0.99])
def test_refutes_a_bound_made_smaller(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        t13, "wielandt_bound", lambda *a: factor * kernel_spectrum.wielandt_bound(*a)
    )
    assert violations() > 0


def test_refutes_a_ratio_better_than_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """κ = √(k_max/k_min) would certify wrong signs."""

    def better(spectrum):
        ratio = (spectrum.largest / spectrum.smallest).sqrt()
        return (ratio - 1) / (ratio + 1)

    monkeypatch.setattr(t13, "sign_threshold", better)
    assert violations() > 0


def violations() -> int:
    worlds = RUNG.worlds(np.random.default_rng(9), 40)
    sides = [t13.sides(w, np.random.default_rng([0, k])) for k, w in enumerate(worlds)]
    judgement = judge("bound", sides)
    assert judgement is not None
    return judgement.violations


def test_unmutated_there_are_no_violations() -> None:
    assert violations() == 0


def test_symbolic_proofs_and_their_mutants() -> None:
    assert all(proof.residual == 0 for proof in symbolic.spectrum_proofs())
    q = sp.Symbol("q", positive=True)
    mutants = (
        symbolic.spread_residual(power=1),
        symbolic.two_arm_residual(factor=1),
        symbolic.three_arm_mode_residuals(largest=q),
        symbolic.three_arm_threshold_residual(shift=sp.Rational(1, 100)),
    )
    assert all(sp.simplify(m) != 0 for m in mutants)
    assert math.isclose(float(mutants[3].subs(q, 0.2)), 0.01 * (0.2 + 3 * 0.2 * 0.6) / 2)

"""T54, F16, F17, E9 to E12: what the newer mixers and filters do, by hand."""

import math
from fractions import Fraction

import pytest
import torch

from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements import CLAIMS, check, smallest
from covlaw.theory.statements.false_claims import any_dynamic_sampling_is_harmless as f16
from covlaw.theory.statements.false_claims import gdpo_protects_every_objective as f17
from covlaw.theory.statements.false_claims._explicit.objectives import explicit_objectives
from covlaw.theory.statements.false_claims._rationals import uniform
from covlaw.theory.statements.scalarization import (
    rvpo_lies_between_gdpo_and_the_worst_z_score as e10,
)
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch
from covlaw.theory.statements.surrogates import gdpos_law_is_made_of_correlations as t54


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("id", ["E9", "E10", "E11", "E12", "F16", "F17"])
@pytest.mark.parametrize("seed", [0, 1])
def test_holds_and_every_false_variant_falls(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed, instances=30)
    assert verdict.status == "holds", verdict
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("id", ["E9", "E10", "E11", "E12"])
@pytest.mark.parametrize("rung", ["bandit", "tabular"])
def test_small_rungs_tell_each_false_variant(id: str, rung: str) -> None:
    """A bandit's rewards have variance 1 throughout, so that they are put in other units first."""
    verdict = check(id, rung, instances=12)
    assert verdict.status == "holds", verdict


def covariances(batch: Batch, signal: torch.Tensor) -> list[float]:
    assert batch.mass is not None
    gap = batch.rewards - batch.mass @ batch.rewards
    return ((batch.mass * signal) @ gap).tolist()


def two_arms(rare: float) -> Batch:
    """r = (1, 0) with probability `rare`, (0, 1) otherwise."""
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    mass = torch.tensor([rare, 1 - rare], dtype=torch.float64)
    return Batch(rewards, torch.zeros(2).long(), mass)


def advantage(name: str, batch: Batch, **options: object) -> torch.Tensor:
    scalarizer = make_scalarizer(name, ["a", "b"], **options)
    found = scalarizer.signal(scalarizer.init(), batch)[1].advantage
    assert found is not None
    return found


def test_two_opposed_rewards_leave_gdpo_still_and_rvpo_lowers_the_rarer() -> None:
    """π = (1/5, 4/5): z = ±(2, −½), least z (−2, −½), Cov(r_1, least) = 4/25·(−3/2) = −.24."""
    batch = two_arms(0.2)
    still = advantage("gdpo", batch, whiten=False)
    assert covariances(batch, still) == pytest.approx([0, 0], abs=1e-15)
    sharp = advantage("rvpo", batch, whiten=False, sharpness=1e3)
    assert covariances(batch, sharp) == pytest.approx([-0.24, 0.24], abs=math.log(2) / 1e3 / 4)
    assert covariances(batch, advantage("rvpo", batch, whiten=False))[0] < -0.05


def test_dvao_lowers_the_quieter_of_two_opposed_rewards() -> None:
    """r_2 in a unit of one tenth: λ = (100, 1)/101 and r_2 moves by sd_2·(λ_2 − λ_1) < 0."""
    batch = two_arms(0.5)
    quiet = batch._replace(rewards=batch.rewards * torch.tensor([1.0, 0.1], dtype=torch.float64))
    found = covariances(quiet, advantage("dvao", quiet))
    assert found == pytest.approx([0.5 * 99 / 101, -0.05 * 99 / 101], rel=1e-13)


def test_f17_and_t54_by_hand() -> None:
    """Cov = (sd_1·(2 − 1/√3), same, sd_3·(1 − 2/√3)), sd_1 = √3/4, sd_3 = 1/2."""
    bandit = explicit_objectives("F17", uniform(4), f17.REWARDS)
    found = covariances(frozen_batch(bandit), f17.gdpo_score(bandit))
    root = math.sqrt(3)
    outvoted = 0.5 * (1 - 2 / root)
    assert found == pytest.approx([root / 4 * (2 - 1 / root)] * 2 + [outvoted], rel=1e-13)
    assert round(found[0], 3) == 0.616
    assert round(outvoted, 4) == -0.0774


def test_f17_the_smallest_case_has_two_arms() -> None:
    """A reward listed twice and its opposite: smaller than THEORY's own example."""
    found = smallest(CLAIMS["F17"])
    assert found is not None
    assert len(found.case["π"]) == 2


def test_f16_by_hand_and_a_smaller_one() -> None:
    """THEORY's numbers in rationals; the search finds integers that do the same."""
    rewards = [f16.ACCURACY, f16.OTHER]
    policy = (f16.HALF, f16.HALF)
    assert f16.filtered(policy, rewards, f16.ACCURACY) == [Fraction(1, 4), Fraction(-1, 8)]
    assert f16.filtered(policy, rewards, f16.SCORE) == [Fraction(1, 8), Fraction(3, 16)]
    found = smallest(CLAIMS["F16"])
    assert found is not None
    total = sum(sum(row) for name in ("r₁", "r₂") for row in found.case[name])
    assert total <= 6  # THEORY's example, doubled to integers, has entries of sum 9


def test_t54_refutes_a_std_that_is_not_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = t54.z_scores
    monkeypatch.setattr(t54, "z_scores", lambda world: 1.01 * scores(world))
    assert check("T54", "theory", instances=20).status == "refuted"


def test_e10_refutes_half_of_hoeffdings_constant_no_sooner_than_it_is_reached() -> None:
    """Tightness of the blunt bound is measured, not promised: below 1, above a tenth."""
    verdict = check("E10", "theory", instances=60)
    assert verdict.tightness is not None
    assert 0.1 < verdict.tightness <= 1
    assert e10.HOEFFDING == 1 / 8

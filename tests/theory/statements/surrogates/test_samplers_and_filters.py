"""T52, T53, T55 by hand: another sampler, dynamic sampling, the KL term; their mutants."""

import math
from fractions import Fraction

import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.truncation import truncated_weight, truncation_margin
from covlaw.theory.losses.kl_penalty import KL_ESTIMATORS, kl_signal, kl_to_reference
from covlaw.theory.statements import check
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements.false_claims._explicit.prompts import explicit_prompts
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor, explicit_bandit
from covlaw.theory.statements.surrogates import _symbolic_surrogates as symbolic
from covlaw.theory.statements.surrogates import another_samplers_covariance_is_the_law as t52
from covlaw.theory.statements.surrogates import dynamic_sampling_only_rescales as t53
from covlaw.theory.statements.surrogates import the_kl_term_is_one_more_objective as t55

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
IDS = ("T52", "T53", "T54", "T55")


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("rung", ["bandit", "tabular"])
def test_holds_on_small_rungs_and_every_false_variant_falls(id: str, rung: str) -> None:
    verdict = check(id, rung, instances=12)
    assert verdict.status == "holds", verdict
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def refuted(id: str) -> bool:
    return check(id, "theory", seed=3, instances=30).status == "refuted"


def test_t52_by_hand_the_mismatch_turns_the_sign() -> None:
    """π = (¼, ¼, ½), μ = (½, ¼, ¼), s = (0, 1, 2), r = (2, 0, 2): Cov_π = +1/8, Cov_μ = −1/8."""
    pi, mu = (QUARTER, QUARTER, HALF), (HALF, QUARTER, QUARTER)
    s, r = (0, 1, 2), (2, 0, 2)

    def covariance(policy: tuple[Fraction, ...]) -> Fraction:
        mean = [sum(p * v for p, v in zip(policy, values, strict=True)) for values in (r, s)]
        both = sum(p * a * b for p, a, b in zip(policy, r, s, strict=True))
        return both - mean[0] * mean[1]

    assert covariance(pi) == Fraction(1, 8)
    assert covariance(mu) == Fraction(-1, 8)
    bandit = explicit_bandit("T52", pi, r)
    gap = (as_tensor(pi) / as_tensor(mu)).log()
    advantage = as_tensor(s) - float(sum(p * v for p, v in zip(mu, s, strict=True)))
    moved = tilted_derivative(bandit, bandit.rewards, advantage * (-gap).exp(), 0.0)
    assert moved.item() == pytest.approx(-1 / 8, rel=1e-13)


def test_t52_truncation_is_one_sided_and_bounded() -> None:
    """π/μ = (½, 1, 2), C = 1: weights (½, 1, 1); Y = A·(0, 0, −½), and C = 2 loses nothing."""
    gap = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).log()
    assert truncated_weight(gap, 1.0).tolist() == pytest.approx([0.5, 1, 1], rel=1e-15)
    pi = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)
    advantage = torch.tensor([-0.75, 0.25, 1.25], dtype=torch.float64)
    reward = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    prompt = torch.zeros(3).long()
    found = truncation_margin(reward, advantage, gap, 1.0, prompt, pi)
    # Y = (0, 0, −5/8): Cov(r, Y) = ½·½·(−5/8) = −5/32, and the bound ½·2·½·½·5/8 is the same
    assert (found.truncated.estimate - found.target.estimate).item() == pytest.approx(-5 / 32)
    assert found.bound.item() == pytest.approx(5 / 32)
    whole = truncation_margin(reward, advantage, gap, 2.0 + 1e-12, prompt, pi)
    assert torch.equal(whole.truncated.estimate, whole.target.estimate)
    for cap in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(CovlawError, match="cap"):
            truncated_weight(gap, cap)


def test_t52_refutes_weights_the_other_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    original = t52.truncation_margin

    def swapped(rewards, advantage, gap, *rest):  # type: ignore[no-untyped-def]
        return original(rewards, advantage, -gap, *rest)

    monkeypatch.setattr(t52, "truncation_margin", swapped)
    assert refuted("T52")


def test_t53_by_hand() -> None:
    """F16's prompts, filtered on s, which differs wherever two completions do: P(kept) = ½."""
    world = explicit_prompts("T53", ((HALF, HALF),) * 2, ((0, 1), (HALF, 0)))
    score = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    assert t53.chance_kept(world, score, 2) == pytest.approx(0.5)
    shown, left, _ = t53._left(world, score, score, 2, "rloo")
    assert shown.item() == pytest.approx(3 / 16)
    assert left.item() == pytest.approx(3 / 16)
    accuracy = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    assert t53._left(world, score, accuracy, 2, "rloo")[0].item() == pytest.approx(-1 / 8)


def test_t53_refutes_pairs_for_groups_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = t53.chance_kept
    monkeypatch.setattr(t53, "chance_kept", lambda few, watched, size: chance(few, watched, 2))
    assert refuted("T53")


def test_t52_in_symbols() -> None:
    assert symbolic.sampler_residual() == 0
    assert symbolic.sampler_residual("policy") != 0


def test_t53_in_symbols() -> None:
    assert symbolic.kept_pairs_residual() == 0
    assert symbolic.kept_pairs_residual("other") != 0


def test_t55_by_hand() -> None:
    """π = (½, ½), π_ref = (⅘, ⅕), r = (0, 1): Cov(r, log π/π_ref) = ¼·log 4, Cov(r, π_ref/π) = −.3.

    The reference does worse on r, so every form that pulls lowers it, k3 not by as much as k2.
    """
    half = torch.full((2,), 0.5, dtype=torch.float64)
    distance = (half / torch.tensor([0.8, 0.2], dtype=torch.float64)).log()
    reward, prompt = torch.tensor([[0.0], [1.0]], dtype=torch.float64), torch.zeros(2).long()
    law = {
        form: within_prompt_covariance(reward, kl_signal(distance, form), prompt, half).estimate
        for form in KL_ESTIMATORS
    }
    assert law["k1"].item() == 0
    assert law["k2"].item() == pytest.approx(-math.log(4) / 4, rel=1e-13)
    assert law["k3"].item() == pytest.approx(-0.3, rel=1e-13)


@pytest.mark.parametrize("form", KL_ESTIMATORS)
def test_t55_a_signal_is_minus_the_losss_slope(form: str) -> None:
    distance = torch.tensor([-1.5, 0.0, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    loss = kl_to_reference(distance, torch.zeros(4, dtype=torch.float64), form)
    (slope,) = torch.autograd.grad(loss.sum(), distance)
    offset = 1.0 if form == "k1" else 0.0  # a constant, which no covariance sees
    assert torch.allclose(slope - offset, -kl_signal(distance.detach(), form), atol=1e-15)
    with pytest.raises(CovlawError, match="k4"):
        kl_signal(distance.detach(), "k4")


def test_t55_refutes_a_k2_of_the_wrong_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t55, "kl_signal", lambda distance, form: -kl_signal(distance, form))
    assert refuted("T55")


def test_t55_in_symbols() -> None:
    assert all(rest == 0 for _, rest in symbolic.kl_residuals())
    assert any(rest != 0 for _, rest in symbolic.kl_residuals(swapped=True))

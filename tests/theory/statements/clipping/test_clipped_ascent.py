"""T28 and F5: clipped ascent that lowers its own score, in exact and in real steps."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.clipped_law import clipped_law
from covlaw.theory.losses.clipping import clipped_surrogate
from covlaw.theory.statements import check
from covlaw.theory.statements.clipping import _symbolic_clipping as symbolic
from covlaw.theory.statements.clipping import clipped_ascent_can_lower_its_own_score as t28
from covlaw.theory.statements.clipping._clipped_ascent import (
    Bandits,
    clipped_ascent,
    first_order_law,
    worst_own_step,
)

CLIP = (0.2, 0.2, None)


def bandits(seed: int, arms: int, count: int = 64) -> Bandits:
    logits, score = torch.as_tensor(np.random.default_rng(seed).normal(size=(2, count, arms)))
    return Bandits(logits, score)


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("id", ["T28", "F5"])
def test_confirmed_and_the_true_case_is_not(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed, instances=40)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]


def test_own_score_of_the_example_in_exact_arithmetic() -> None:
    old = [Fraction(x) for x in t28.OLD]
    new, score = [Fraction(x) for x in t28.NEW], [Fraction(x) for x in t28.SCORE]
    mean = sum(p * s for p, s in zip(old, score, strict=True))
    advantage = [s - mean for s in score]
    assert advantage == [Fraction(1, 4), Fraction(5, 4), Fraction(-3, 4)]
    ratio = [q / p for p, q in zip(old, new, strict=True)]
    limits = Fraction(4, 5), Fraction(6, 5)
    kept = [
        a if (r <= limits[1] if a >= 0 else r >= limits[0]) else Fraction(0)
        for a, r in zip(advantage, ratio, strict=True)
    ]
    assert kept == [Fraction(1, 4), 0, 0]
    means = [sum(p * x for p, x in zip(new, f, strict=True)) for f in (score, kept)]
    joint = sum(p * s * k for p, s, k in zip(new, score, kept, strict=True))
    assert joint - means[0] * means[1] == Fraction(-1, 64)
    assert t28.example()[0].item() == pytest.approx(-1 / 64, rel=1e-13)


def test_cross_objective_example() -> None:
    law, forecast, _ = t28.cross_example()
    assert forecast.item() == pytest.approx(0.3125, rel=1e-13)
    assert round(law.item(), 4) == -0.0094
    bandit = t28._one(t28.OLD, t28.CROSS_SCORE)
    ascent = clipped_ascent(bandit, CLIP, "natural", t28.CROSS_RATE)
    after = [next(ascent) for _ in range(2)][1]
    unclipped = first_order_law(after, bandit.advantage, t28._row(t28.CROSS_REWARD))
    assert round(unclipped.item(), 3) == 0.240


def test_the_natural_law_is_that_of_t25() -> None:
    problem = bandits(3, 4)
    ascent = clipped_ascent(problem, CLIP, "natural", 0.3)
    policy = [next(ascent) for _ in range(3)][2]
    law = first_order_law(policy, problem.kept(policy, CLIP), problem.score)
    prompt = torch.arange(64).repeat_interleave(4)
    referee = clipped_law(
        problem.score.reshape(-1, 1),
        problem.advantage.reshape(-1),
        (policy / problem.policy).log().reshape(-1),
        CLIP,
        prompt,
        problem.policy.reshape(-1),
    ).per_prompt[:, 0]
    torch.testing.assert_close(law, referee)


def test_a_vanilla_step_follows_autograd_of_the_surrogate() -> None:
    problem = bandits(4, 3)
    ascent = clipped_ascent(problem, CLIP, "vanilla", 0.7)
    policy, following = [next(ascent) for _ in range(3)][1:]
    logits = policy.log().requires_grad_()
    log_ratio = logits.log_softmax(1) - problem.policy.log()
    value = (problem.policy * clipped_surrogate(problem.advantage, log_ratio, *CLIP)).sum()
    (gradient,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(following, (logits + 0.7 * gradient).softmax(1).detach())


@pytest.mark.parametrize("geometry", ["natural", "vanilla"])
def test_the_score_falls_with_three_arms_but_never_with_two(geometry: str) -> None:
    fell = worst_own_step(bandits(0, 3, 512), CLIP, geometry, *t28.PACE[geometry])
    assert 0 < int((fell < -1e-9).sum()) < 512
    never = worst_own_step(bandits(0, 2, 512), CLIP, geometry, *t28.PACE[geometry])
    assert float(never.min()) >= -1e-15


@pytest.mark.parametrize("geometry", ["natural", "vanilla"])
def test_without_clipping_it_never_falls(geometry: str) -> None:
    free = worst_own_step(bandits(1, 4, 256), (1.0, float("inf"), None), geometry, 0.05, 80)
    assert float(free.min()) >= -1e-15


def test_symbolic_proofs_and_their_mutants() -> None:
    assert all(proof.residual == 0 for proof in t28.proofs())
    assert sp.simplify(symbolic.two_arm_residual(square=1)) != 0
    assert sp.simplify(symbolic.example_residual(kept=(1, 1, 0))) != 0


def test_refuses_an_unknown_geometry() -> None:
    with pytest.raises(CovlawError, match="geometry"):
        next(clipped_ascent(bandits(0, 3), CLIP, "naturel", 0.1))
    with pytest.raises(CovlawError, match="geometry"):
        first_order_law(*(torch.ones(1, 2),) * 3, "plain")

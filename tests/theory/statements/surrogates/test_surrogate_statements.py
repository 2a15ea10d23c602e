"""T50 and T51: hand-worked instances, samples, and mutants that the judge refutes."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.losses.cispo import CISPO
from covlaw.theory.losses.gspo import GSPO, GSPOToken
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements._support.token_losses import loss_ascent, natural_slope
from covlaw.theory.statements.false_claims import constant_advantages_are_neutral as f7
from covlaw.theory.statements.surrogates import cispo_keeps_every_completion_in_the_law as t50
from covlaw.theory.statements.surrogates import gspo_carries_lengths_into_the_law as t51
from covlaw.theory.worlds.updates import InnerStep


def violations(id: str) -> int:
    """With whatever a test has put in the statement's place."""
    source = RUNG.inner_steps if id == "T50" else RUNG.trees
    drawn = islice(source(np.random.default_rng(5), 40), 40)
    return check_on(STATEMENTS[id], list(drawn), "theory").violations


def four_arms() -> InnerStep:
    """Policy 1/4 each, A = (1, 1, −1, −1), ρ = (1.5, .5, 1.5, .5)."""
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], dtype=torch.float64)
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]], dtype=torch.float64).T
    rollouts = Rollouts(
        torch.zeros(4).long(), rewards, ("crossed", "aligned"), torch.full((4,), 0.25).double()
    )
    return InnerStep("four arms", rollouts, advantage, ratio.log())


def test_t50_by_hand_the_bound_is_attained() -> None:
    """ε = 1/4: W = (5/4, 3/4, −5/4, −3/4), W − A = ±1/4. r = (1, 0, 0, 1): Cov(r, A) = 0 and
    Cov(r, W) = 1/8 = ε·sd·sd; PPO's W = (0, 1/2, −3/2, 0) drops both completions with r = 1.
    """
    step, loss = four_arms(), CISPO(0.25, 0.25)
    weight = loss.weight(step.advantage, step.log_ratio)
    assert weight.tolist() == pytest.approx([1.25, 0.75, -1.25, -0.75], rel=1e-14)
    law = within_prompt_covariance(step.rollouts.rewards, weight, *step.rollouts.groups).estimate
    assert law.tolist() == pytest.approx([0.125, 0.5], rel=1e-14)
    bound, _ = t50._bound(step, loss, step.rollouts.rewards, 0.25)
    assert bound[0].tolist() == pytest.approx([0.125, 0.125], rel=1e-14)
    dropped = PPO(0.25, 0.25).weight(step.advantage, step.log_ratio)
    assert dropped.tolist() == pytest.approx([0.0, 0.5, -1.5, 0.0], rel=1e-14)


@pytest.mark.parametrize("completions", [2, 16])
def test_t50_holds_on_sampled_groups(completions: int) -> None:
    rng, steps = np.random.default_rng(3), []
    for step in islice(RUNG.inner_steps(rng, 40), 40):
        rollouts = step.rollouts
        rows = torch.cat(
            [
                torch.as_tensor(rng.choice((rollouts.prompt == x).nonzero()[:, 0], completions))
                for x in torch.unique(rollouts.prompt)
            ]
        )
        seen = replace(
            rollouts, prompt=rollouts.prompt[rows], rewards=rollouts.rewards[rows], mass=None
        )
        steps.append(InnerStep("sampled", seen, step.advantage[rows], step.log_ratio[rows]))
    verdict = check_on(STATEMENTS["T50"], steps, "llm")
    assert verdict.status == "holds"


class DroppingCispo(CISPO):
    """PPO's weight in CISPO's place."""

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        return PPO(self.clip_low, self.clip_high).kept(advantage, log_ratio, mask)


def test_t50_refutes_a_weight_that_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t50, "CISPO", DroppingCispo)
    assert violations("T50") > 0


def test_t50_refutes_an_uncentred_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t50, "centred_weight", lambda weight, *_: weight)
    assert violations("T50") > 0


@pytest.mark.parametrize("loss", [GSPO(), GSPOToken()])
def test_t51_rational_example(loss: GSPO) -> None:
    """Cov(r, s) = +1/16, and the loss lowers r: Cov(r, A/L) = −1/128."""
    advantage = torch.tensor([float(s - f7.MEAN_SCORE) for s in f7.SCORE], dtype=torch.float64)
    fan = f7.tree()
    moved = natural_slope(fan, loss_ascent(fan, advantage, loss))
    assert moved.item() == pytest.approx(float(Fraction(-1, 128)), rel=1e-12)
    summed = natural_slope(fan, loss_ascent(fan, advantage, PPO()))
    assert summed.item() == pytest.approx(float(Fraction(1, 16)), rel=1e-12)


def test_t51_the_shortest_completion_sets_the_strength() -> None:
    """L_min·log(1 + ε_high) with L_min = 1: 4·10⁻⁴ at GSPO's own range."""
    assert t51.no_clip_strength(f7.tree(), GSPO(0.3, 4e-4)) == pytest.approx(math.log1p(4e-4))
    assert t51.no_clip_strength(f7.tree(), GSPO(0.3, 0.5, 1.1)) == pytest.approx(math.log(1.1))


class TokenRatios(GSPO):
    """PPO's token ratios under GSPO's name."""

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        return PPO(*self.clip).objective(advantage, log_ratio, mask)


def test_t51_refutes_token_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t51, "GSPO", TokenRatios)
    assert violations("T51") > 0


def test_t51_refutes_a_strength_by_the_mean_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the shortest completion is safe; a long mean promises too much."""
    strength = t51.no_clip_strength

    def by_mean(tree: t51.TokenTree, loss: GSPO) -> float:
        return strength(tree, loss) * float(tree.lengths.mean() / tree.lengths.min()) * 2

    monkeypatch.setattr(t51, "no_clip_strength", by_mean)
    assert violations("T51") > 0

"""T45, F11: the vanishing PL ratio on a real world, quoted values, and a mutation."""

import numpy as np
import pytest
import torch

from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements import check
from covlaw.theory.statements.convergence import a_softmax_bandit_has_no_uniform_pl_constant as t45
from covlaw.theory.statements.false_claims import softmax_objectives_are_not_globally_pl as f11
from covlaw.toys.bandit import bandit_world


def test_t45_ratio_is_autograds_on_a_real_world() -> None:
    world = bandit_world(np.random.default_rng(3), 1, 2, 1, 0.0)
    reward = world.rewards[:, 0]
    gradient = world.score_sum(world.row_weight() * centred_score(world, reward))
    gap = reward.max() - world.value()[0]
    arms = t45.two_armed(world)
    scale = reward.max() - reward.min()
    expected = gradient.square().sum() / (2 * gap)
    torch.testing.assert_close(scale * t45.pl_ratio(arms)[0], expected, rtol=1e-12, atol=0)


def test_t45_refutes_the_other_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    true = t45.pl_ratio
    monkeypatch.setattr(
        t45, "pl_ratio", lambda arms: true(t45.TwoArms(arms.logits.flip(1), arms.difference))
    )
    assert check("T45", "theory", 0).status == "refuted"


def test_f11_quotes_the_ratios_of_t46() -> None:
    square, gap = f11.regularised(torch.tensor(f11.RARE, dtype=torch.float64))
    assert [f"{v:.0e}" for v in (square / (2 * gap)).tolist()] == ["3e-03", "1e-06", "3e-10"]
    middle = torch.tensor([0.5 + 1e-6], dtype=torch.float64)
    for bandit, mu in ((f11.plain, f11.PLAIN_MU), (f11.regularised, f11.REGULARISED_MU)):
        square, gap = bandit(middle)
        assert (square / (2 * gap)).item() == pytest.approx(2 * mu, rel=1e-5)

"""T29's example: tilt and natural gradient of the clipped loss move a reward oppositely."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements._support.token_enumeration import token_tilt_derivative
from covlaw.theory.statements._support.token_losses import loss_ascent, natural_slope
from covlaw.theory.statements.clipping._token_clip import clipped_natural_law, clipped_token_weight
from covlaw.theory.worlds.token_law import token_values
from covlaw.theory.worlds.token_tree import TokenTree, TreeShape, softmax_tree

QUARTER, HALF = Fraction(1, 4), Fraction(1, 2)
OLD_FIRST, NEW_FIRST = (QUARTER, 1 - QUARTER), (1 - QUARTER, QUARTER)
SCORE, REWARD = (0, 2, 0, 2), (0, 1, 1, 0)
CLIP = (0.2, 0.2, None)


def two_tokens(first: tuple[Fraction, ...]) -> tuple[TokenTree, Tensor]:
    """00, 01, 10, 11 with a given first token and a fair second one; also its logits."""
    shape = TreeShape(
        torch.zeros(4, dtype=torch.int64),
        torch.tensor([[0, 2], [0, 3], [1, 4], [1, 5]]),
        torch.tensor([0, 0, 1, 1, 2, 2]),
    )
    policy = [float(p) for p in (*first, HALF, HALF, HALF, HALF)]
    logits = torch.tensor(policy, dtype=torch.float64).log()
    reward = torch.tensor(REWARD, dtype=torch.float64)[:, None]
    return softmax_tree(shape, logits, reward, ["r"]), logits


def test_frozen_example_in_exact_arithmetic() -> None:
    mean = sum(
        p * HALF * s
        for p, pair in zip(OLD_FIRST, (SCORE[:2], SCORE[2:]), strict=True)
        for s in pair
    )
    advantage = [s - mean for s in SCORE]
    deeper = []
    for a in (0, 1):  # the second token's ratio is 1: never clipped
        w, r = advantage[2 * a : 2 * a + 2], REWARD[2 * a : 2 * a + 2]
        product_mean = sum(HALF * x * y for x, y in zip(w, r, strict=True))
        deeper.append(product_mean - HALF * sum(w) * HALF * sum(r))
    values = [HALF * sum(REWARD[:2]), HALF * sum(REWARD[2:])]
    assert values[0] == values[1]  # the first token does not matter to r
    assert sum(p * d for p, d in zip(NEW_FIRST, deeper, strict=True)) == QUARTER
    assert sum(p * d for p, d in zip(OLD_FIRST, deeper, strict=True)) == -QUARTER


def test_frozen_example_on_the_real_loss() -> None:
    (tree, _), (_, theta) = two_tokens(OLD_FIRST), two_tokens(NEW_FIRST)
    score = torch.tensor(SCORE, dtype=torch.float64)
    advantage = score - tree.world.log_prob_at().exp() @ score
    log_policy = tree.log_policy(theta)
    weight = clipped_token_weight(tree, advantage, log_policy, CLIP)
    tilt = token_tilt_derivative(tree, tree.world.rewards, weight, log_policy)
    ascent = loss_ascent(tree, advantage, PPO(*CLIP), theta)
    natural = natural_slope(tree, ascent, theta)
    assert tilt.item() == pytest.approx(0.25, rel=1e-12)
    assert natural.item() == pytest.approx(-0.25, rel=1e-12)
    new, old = (token_values(tree, tree.world.rewards, p) for p in (log_policy, None))
    assert clipped_natural_law(new, weight, old.visit).item() == pytest.approx(-0.25, rel=1e-12)

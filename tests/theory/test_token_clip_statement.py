"""T29: token-level clipping against the real loss, and its tilt and natural gradient apart."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.rungs import load_rung
from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements.clipping import (
    token_clipping_weighs_contexts_by_the_old_policy as t29,
)
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.random_instances import RUNG
from covlaw.theory.statements.support.token_enumeration import token_tilt_derivative
from covlaw.theory.statements.support.token_losses import loss_ascent, natural_slope
from covlaw.theory.token_clip import clipped_natural_law, clipped_token_weight
from covlaw.theory.token_law import token_covariance, token_values
from covlaw.theory.token_tree import TokenTree, TreeShape, softmax_tree

QUARTER, HALF = Fraction(1, 4), Fraction(1, 2)
OLD_FIRST, NEW_FIRST = (QUARTER, 1 - QUARTER), (1 - QUARTER, QUARTER)
SCORE, REWARD = (0, 2, 0, 2), (0, 1, 1, 0)
CLIP = (0.2, 0.2, None)


@cache
def trees(rung: str = "theory", count: int = 40) -> list[TokenTree]:
    source = RUNG if rung == "theory" else load_rung(rung)
    return list(islice(source.trees(np.random.default_rng(6), count), count))


def violations() -> int:
    sides = [t29.sides(t, np.random.default_rng([0, k])) for k, t in enumerate(trees())]
    judgement = judge("identity", sides)
    assert judgement is not None
    return judgement.violations


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(seed: int) -> None:
    verdict = check("T29", "theory", seed, instances=40)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize(("rung", "count"), [("tabular", 10), ("transformer", 3)])
def test_holds_where_tokens_are_written(rung: str, count: int) -> None:
    assert check_on(STATEMENTS["T29"], trees(rung, count), rung).status == "holds"


def test_unmutated_there_are_no_violations() -> None:
    assert violations() == 0


@pytest.mark.parametrize(
    "mutant",
    [
        lambda tree, a, policy, clip: -clipped_token_weight(tree, -a, policy, clip),
        lambda tree, a, policy, clip: token_values(tree, a[:, None]).action[:, 0],
        lambda tree, a, policy, clip: clipped_token_weight(tree, a, policy, (*clip[:2], None)),
        lambda tree, a, policy, clip: clipped_token_weight(
            tree, a, policy, (clip[1], clip[0], clip[2])
        ),
    ],
    ids=["sides swapped", "nothing clipped", "dual clip forgotten", "ranges swapped"],
)
def test_refutes_other_clip_rules(
    mutant: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(t29, "clipped_token_weight", mutant)
    assert violations() > 0


def test_t25_does_not_carry_over_the_tilt_is_not_the_natural_step() -> None:
    """With d_θ in place of d_old in the natural gradient alone."""

    def with_new_visits(values, weight, _):
        return token_covariance(values, weight)

    tabular = [t for t in trees() if t.tabular]
    for swap, refuted in ((False, False), (True, True)):
        with pytest.MonkeyPatch.context() as patch:
            if swap:
                patch.setattr(t29, "clipped_natural_law", with_new_visits)
            found = check_on(replace(STATEMENTS["T29"]), tabular, "theory")
        assert (found.status == "refuted") is refuted


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
    ascent = loss_ascent(tree, advantage, "sequence_sum", CLIP, theta)
    natural = natural_slope(tree, ascent, theta)
    assert tilt.item() == pytest.approx(0.25, rel=1e-12)
    assert natural.item() == pytest.approx(-0.25, rel=1e-12)
    new, old = (token_values(tree, tree.world.rewards, p) for p in (log_policy, None))
    assert clipped_natural_law(new, weight, old.visit).item() == pytest.approx(-0.25, rel=1e-12)


def test_the_weight_by_plain_enumeration() -> None:
    """E_old[A·1(A, ρ_t)|h, a] with loops over completions and tokens."""
    for k, tree in enumerate(trees()[:10]):
        at = t29.displace(tree, np.random.default_rng(k))
        old, new = tree.log_policy().exp(), tree.log_policy(at.theta).exp()
        low, high, dual = at.clip
        mass = tree.world.log_prob_at().exp()
        top, bottom = torch.zeros(len(old)), torch.zeros(len(old))
        top, bottom = top.double(), bottom.double()
        for row, step in product(*map(range, tree.choice.shape)):
            c = int(tree.choice[row, step])
            if c < 0:
                continue
            ratio, a = float(new[c] / old[c]), float(at.advantage[row])
            kept = ratio <= 1 + high if a >= 0 else 1 - low <= ratio <= (dual or np.inf)
            top[c] += mass[row] * a * kept
            bottom[c] += mass[row]
        torch.testing.assert_close(at.weight, top / bottom, rtol=1e-10, atol=1e-12)

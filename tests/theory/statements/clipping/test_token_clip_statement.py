"""T29: token-level clipping against the real loss, and its tilt and natural gradient apart."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.clipping import (
    token_clipping_weighs_contexts_by_the_old_policy as t29,
)
from covlaw.theory.statements.clipping._token_clip import clipped_token_weight
from covlaw.theory.statements.judge import judge
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.token_law import token_covariance, token_values
from covlaw.theory.worlds.token_tree import TokenTree


@cache
def trees(rung: str = "theory", count: int = 40) -> list[TokenTree]:
    source = RUNG if rung == "theory" else load_rung(rung)
    return list(islice(source.trees(np.random.default_rng(6), count), count))


def violations() -> int:
    sides = [t29.sides(t, np.random.default_rng([0, k])) for k, t in enumerate(trees())]
    judgement = judge("identity", sides)
    assert judgement is not None
    return judgement.violations


@pytest.mark.slow  # other draws of what test_every_statement checks
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

"""T15–T18: the law token by token holds, and fails once an identity is mutated."""

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.tokens import covariance_is_a_sum_over_tokens as t15
from covlaw.theory.statements.tokens import finite_changes_add_up_over_tokens as t17
from covlaw.theory.statements.tokens import length_normalisation_changes_the_score as t18
from covlaw.theory.statements.tokens import token_tilt_moves_objectives_by_token_covariances as t16
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.token_law import TokenValues, token_values
from covlaw.theory.worlds.token_tree import TokenTree

IDS = ("T15", "T16", "T17", "T18")


@cache
def trees(rung: str = "theory", count: int = 40) -> list[TokenTree]:
    source = RUNG if rung == "theory" else load_rung(rung)
    return list(islice(source.trees(np.random.default_rng(5), count), count))


def violations(id: str) -> int:
    statement = STATEMENTS[id]
    sides = [statement.sides(t, np.random.default_rng([0, k])) for k, t in enumerate(trees())]
    judgement = judge(statement.kind, sides)
    assert judgement is not None
    return judgement.violations


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("id", IDS)
def test_holds_and_its_control_is_refuted(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed, instances=40)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize(("rung", "count"), [("tabular", 12), ("transformer", 3)])
@pytest.mark.parametrize("id", IDS)
def test_holds_where_tokens_are_written(id: str, rung: str, count: int) -> None:
    assert check_on(STATEMENTS[id], trees(rung, count), rung).status == "holds"


@pytest.mark.parametrize("id", IDS)
def test_says_why_it_is_not_applicable_elsewhere(id: str) -> None:
    for rung in ("bandit", "llm"):
        assert check(id, rung).note


@pytest.mark.parametrize("id", IDS)
def test_unmutated_there_are_no_violations(id: str) -> None:
    assert violations(id) == 0


def alike(tree: TokenTree, values: Tensor, log_policy: Tensor | None = None) -> TokenValues:
    """Token values in which every context is visited as often as any other."""
    true = token_values(tree, values, log_policy)
    return true._replace(visit=torch.full_like(true.visit, float(true.visit.mean())))


@pytest.mark.parametrize("module", [t15, t16, t17])
def test_contexts_must_be_weighed_by_their_visits(
    module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "token_values", alike)
    assert violations({t15: "T15", t16: "T16", t17: "T17"}[module]) > 0


def test_t17_refutes_the_tilt_along_action_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """log π + η·Q_s, normalised in each context: right to first order only."""

    def plain(tree: TokenTree, score: Tensor, eta: float) -> Tensor:
        logits = tree.log_policy() + eta * token_values(tree, score[:, None]).action[:, 0]
        total = torch.zeros(tree.contexts, dtype=torch.float64)
        return logits - total.index_add(0, tree.context, logits.exp()).log()[tree.context]

    monkeypatch.setattr(t17, "tilted_log_policy", plain)
    assert violations("T17") > 0


def test_t17_refutes_visits_that_are_not_squared(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(rewards: TokenValues, score: TokenValues) -> Tensor:
        weight = rewards.taken * rewards.policy
        return (weight * score.advantage[:, 0]) @ rewards.advantage

    monkeypatch.setattr(t17, "token_gradient_alignment", once)
    assert violations("T17") > 0


def test_t18_refutes_lengths_without_the_end_of_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    def shorter(advantage: Tensor, lengths: Tensor) -> Tensor:
        return advantage / (lengths - 1).clamp(min=1)

    monkeypatch.setattr(t18, "divided_score", shorter)
    assert violations("T18") > 0


def test_t18_refutes_the_mean_length_in_place_of_the_batchs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A/E L: true for large batches only."""

    def limit(advantage: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
        return advantage / (weight @ lengths)

    monkeypatch.setattr(t18, "pair_effective_score", limit)
    assert violations("T18") > 0

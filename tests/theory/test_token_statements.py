"""T15–T18 and F7: the law token by token holds, and fails once an identity is mutated."""

from fractions import Fraction
from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.length_normalisation import effective_score, pair_effective_score
from covlaw.theory.rungs import load_rung
from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements.false_claims import constant_advantages_are_neutral as f7
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.law import covariance_is_a_sum_over_tokens as t15
from covlaw.theory.statements.law import finite_changes_add_up_over_tokens as t17
from covlaw.theory.statements.law import length_normalisation_changes_the_score as t18
from covlaw.theory.statements.law import token_tilt_moves_objectives_by_token_covariances as t16
from covlaw.theory.statements.random_instances import RUNG
from covlaw.theory.token_law import TokenValues, token_values
from covlaw.theory.token_tree import TokenTree

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
    def shorter(advantage: Tensor, lengths: Tensor, aggregation: str) -> Tensor:
        return effective_score(advantage, (lengths - 1).clamp(min=1), aggregation)

    monkeypatch.setattr(t18, "effective_score", shorter)
    assert violations("T18") > 0


def test_t18_refutes_the_mean_length_in_place_of_the_batchs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A/E L: true for large batches only."""

    def limit(advantage: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
        return advantage / (weight @ lengths)

    monkeypatch.setattr(t18, "pair_effective_score", limit)
    assert violations("T18") > 0


def covariance(first: list[Fraction], second: list[Fraction]) -> Fraction:
    policy = f7.POLICY
    product = sum(p * a * b for p, a, b in zip(policy, first, second, strict=True))
    means = [sum(p * a for p, a in zip(policy, f, strict=True)) for f in (first, second)]
    return product - means[0] * means[1]


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [(Fraction(3, 4), (-1, 128)), (Fraction(0), (-5, 64)), (Fraction(1), (1, 64))],
)
def test_t18_rational_example(baseline: Fraction, expected: tuple[int, int]) -> None:
    reward = [Fraction(r) for r in f7.REWARD]
    score = [Fraction(s) for s in f7.SCORE]
    assert covariance(reward, score) == Fraction(1, 16)
    divided = [(s - baseline) / n for s, n in zip(score, f7.LENGTHS, strict=True)]
    assert covariance(reward, divided) == Fraction(*expected)
    assert f7.slope("sequence_mean", baseline).item() == pytest.approx(
        float(Fraction(*expected)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("baseline", "expected"), [(Fraction(0), (-17, 640)), (Fraction(3, 4), (11, 1280))]
)
def test_f7_rational_example_of_token_means(baseline: Fraction, expected: tuple[int, int]) -> None:
    reward, pairs = [Fraction(r) for r in f7.REWARD], list(zip(f7.POLICY, f7.LENGTHS, strict=True))
    factor = [sum(p * Fraction(2, n + m) for p, m in pairs) for n in f7.LENGTHS]
    signal = [(s - baseline) * f for s, f in zip(f7.SCORE, factor, strict=True)]
    assert covariance(reward, signal) == Fraction(*expected)
    assert f7.slope("token_mean", baseline).item() == pytest.approx(
        float(Fraction(*expected)), rel=1e-12
    )


def test_f7_a_constant_advantage_alone_moves_the_reward() -> None:
    """a·Cov(r, 1/L) with a = 1: slope(b = 0) − slope(b = 1)."""
    inverse = [Fraction(1, n) for n in f7.LENGTHS]
    exact = covariance([Fraction(r) for r in f7.REWARD], inverse)
    moved = f7.slope("sequence_mean", 0) - f7.slope("sequence_mean", 1)
    assert moved.item() == pytest.approx(float(exact), rel=1e-12)
    assert exact == Fraction(-3, 32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_f7_is_confirmed_and_the_sum_over_tokens_is_neutral(seed: int) -> None:
    verdict = check("F7", "theory", seed, instances=10)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]
    assert f7.slope("sequence_sum", 0).item() == pytest.approx(1 / 16, rel=1e-12)
    assert f7.slope("sequence_sum", 1).item() == pytest.approx(1 / 16, rel=1e-12)


def test_effective_scores() -> None:
    advantage = torch.tensor([2.0, -1.0, 3.0], dtype=torch.float64)
    lengths = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    assert effective_score(advantage, lengths, "sequence_mean").tolist() == [0.5, -0.5, 3.0]
    assert effective_score(advantage, lengths, "sequence_sum").tolist() == advantage.tolist()
    with pytest.raises(CovlawError, match="token_mean"):
        effective_score(advantage, lengths, "token_mean")
    even = pair_effective_score(
        advantage, torch.full((3,), 5.0).double(), torch.ones(3).double() / 3
    )
    torch.testing.assert_close(even, advantage / 5)

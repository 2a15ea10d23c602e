"""What a KL alone is forecast to do to each objective, in the reward and in the loss (T55)."""

import copy
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from covlaw.llm.audit.kl_objective import kl_objective, loss_signal
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.signals import Signals
from covlaw.llm.model.log_prob import context_kl
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import make_scalarizer

CONFIG = TrainConfig(aggregation="sequence_sum", kl_coefficient=0.3)


@pytest.fixture
def signals(policy) -> Signals:
    """Of a run whose reference lies apart from its policy."""
    reference = copy.deepcopy(policy[0])
    with torch.no_grad():
        for p in reference.parameters():
            p.mul_(0.8)
    return Signals(make_scalarizer("linear", ["a", "b"]), policy[0], reference, CONFIG)


@pytest.fixture
def sample(draw) -> SampledRollouts:
    completions, generator = draw(n=12), torch.Generator().manual_seed(5)
    rewards = torch.rand(len(completions.text), 2, generator=generator).double()
    return SampledRollouts.of(completions, rewards, ("a", "b"))


@torch.no_grad()
def by_hand(signals: Signals, sample: SampledRollouts, estimator: str) -> torch.Tensor:
    """Σ_t over tokens from the whole distributions, a completion at a time."""
    found = []
    rows = sample.completions
    for k in range(len(rows.text)):
        one = rows.rows(torch.tensor([k]))
        ids = torch.cat([one.prompt_tokens[one.prompt_mask], one.tokens[one.mask]])[None]
        own, other = (
            m(ids).logits[0].double().log_softmax(-1) for m in (signals.model, signals.reference)
        )
        start, total = int(one.prompt_mask.sum()), 0.0
        for t in range(start, ids.shape[1]):
            gap = own[t - 1] - other[t - 1]
            weight = {"k1": -torch.ones_like(gap), "k2": -gap, "k3": torch.exp(-gap) - 1}[estimator]
            total += float(weight[ids[0, t]] - own[t - 1].exp() @ weight)
        found.append(total)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_losses_signal_is_what_each_token_is_weighed_by(signals, sample, estimator) -> None:
    """To float32 of some hundred logits; the whole completion's ratio is no substitute."""
    config = replace(CONFIG, kl_estimator=estimator)
    found = loss_signal(signals, sample.completions, config)
    expected = by_hand(signals, sample, estimator)
    assert found == pytest.approx(expected, abs=2e-4)
    if estimator == "k3":
        whole = torch.expm1(-signals.distance(sample.completions))
        assert float((whole - expected).abs().max()) > 0.01
    record = kl_objective(signals, sample, config)
    law = within_prompt_covariance(sample.rewards, 0.3 * found, sample.prompt)
    assert record == {"estimate": law.estimate.tolist(), "se": law.standard_error.tolist()}


def test_it_has_a_row_where_it_is_known(signals, sample) -> None:
    assert kl_objective(signals, sample, replace(CONFIG, kl_coefficient=0.0)) is None
    mean = replace(CONFIG, aggregation="sequence_mean")
    assert kl_objective(signals, sample, mean) is None
    in_reward = kl_objective(signals, sample, replace(mean, kl_place="reward"))
    assert in_reward is not None
    assert in_reward != kl_objective(signals, sample, replace(CONFIG, kl_estimator="k2"))


def test_contexts_are_read_in_pieces_of_any_size(signals, sample) -> None:
    pieces = [
        context_kl(signals.model, signals.reference, sample.completions, 0.7, rows)
        for rows in (3, 100)
    ]
    assert pieces[0] == pytest.approx(pieces[1], abs=1e-5)
    assert float(pieces[1].min()) > -1e-6
    assert float(pieces[1].max()) > 1e-3


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_objectives_move_by_it_when_each_token_is_tilted(estimator: str) -> None:
    """Two tokens of three symbols, enumerated: dJ/dη of the token tilt along w, by differences.

    With the completion's own log π/π_ref in k2's place, as in the reward, it is another number.
    """
    rng = np.random.default_rng(0)
    first, then = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), size=3)
    base, base_then = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), size=3)
    reward = rng.normal(size=(3, 3))
    gaps = np.log(first / base), np.log(then / base_then)
    one, two = (-g if estimator == "k2" else np.exp(-g) - 1 for g in gaps)

    def value(step: float) -> float:
        a, b = first * np.exp(step * one), then * np.exp(step * two)
        return float(((a / a.sum())[:, None] * b / b.sum(1, keepdims=True) * reward).sum())

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    law = whole = 0.0
    for i, j in product(range(3), repeat=2):
        chance = first[i] * then[i, j]
        law += chance * reward[i, j] * (one[i] - first @ one + two[i, j] - then[i] @ two[i])
        mean = (first[:, None] * then * (gaps[0][:, None] + gaps[1])).sum()
        whole -= chance * reward[i, j] * (gaps[0][i] + gaps[1][i, j] - mean)
    assert slope == pytest.approx(law, abs=1e-7)
    assert abs(slope - whole) > 1e-3

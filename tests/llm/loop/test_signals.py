"""What a scalarizer asks for is computed from the batch, and nothing else; audits get the same."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop import signals as module
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.loop.signals import Signals
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS, group_advantage
from covlaw.theory.scalarizers import Batch, Signal
from covlaw.theory.solvers.min_norm import min_norm_weights

NAMES = ("first", "second", "third")


@pytest.fixture
def drawn(draw):
    def sample(seed: int, n: int = 12) -> SampledRollouts:
        completions = draw(n=n, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        rewards = torch.rand(len(completions.text), 3, generator=generator).double()
        return SampledRollouts.of(completions, rewards, NAMES)

    return sample


def signals(policy, name: str, start: Any = None, **options: Any) -> Signals:
    config = TrainConfig(
        rewards=NAMES, scalarizer=name, options={name: options}, normaliser="dr_grpo", micro_batch=7
    )
    return Signals(config.make_scalarizer(), policy[0], start, config)


def test_the_weights_are_those_of_this_batchs_gramian(policy, drawn) -> None:
    maker, batch = signals(policy, "mgda"), drawn(0)
    applied = maker.make(maker.scalarizer.init(), batch)
    gram = policy_gramian(policy[0], batch.completions, batch.rewards, maker.config)
    weights = min_norm_weights(gram)
    assert applied.weights is not None
    assert torch.equal(applied.weights, weights)
    expected = group_advantage(batch.rewards @ weights, batch.completions.prompt, "dr_grpo")
    assert torch.equal(applied.advantage, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [("mgda", {}), ("gradnorm", {}), ("dynamic", {"step": 10.0}), ("ctwa", {}), ("linear", {})],
)
def test_other_rows_get_the_batchs_signal(
    policy, drawn, name: str, options: dict[str, Any]
) -> None:
    """Weights fitted anew would make another signal; so would a second step of the weights."""
    maker, batch, other = signals(policy, name, **options), drawn(0), drawn(1)
    applied = maker.make(maker.scalarizer.init(), batch)
    maker.model = None  # which a Gramian computed again would need
    advantage = maker.again(applied, other)
    assert applied.weights is not None
    score = other.rewards @ applied.weights
    assert torch.equal(advantage, group_advantage(score, other.completions.prompt, "dr_grpo"))


def test_a_signal_that_is_no_weighted_score_is_asked_for_again(policy, drawn) -> None:
    maker, batch, other = signals(policy, "tchebycheff"), drawn(0), drawn(1)
    applied = maker.make(maker.scalarizer.init(), batch)
    ideal = torch.maximum(batch.rewards.amax(0), other.rewards.amax(0))
    score = -((ideal - other.rewards) / 3).amax(1)
    expected = group_advantage(score, other.completions.prompt, "dr_grpo")
    assert not applied.weighted
    assert torch.allclose(maker.again(applied, other), expected, rtol=0, atol=8 * 2.0**-53)


def test_only_what_is_asked_for_is_computed(policy, drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    seen: list[Batch] = []
    for name, result in (("policy_gramian", torch.eye(3)), ("all_token_log_prob", torch.ones(3))):

        def watched(*_: Any, name: str = name, result: Tensor = result, **__: Any) -> Tensor:
            computed.append(name)
            return result.clone()

        monkeypatch.setattr(module, name, watched)
    for wanted in ("gramian", "mask", "log_ratio_to_reference", None):
        maker = signals(policy, "linear")
        maker.scalarizer.before = frozenset({wanted} - {None})
        original = maker.scalarizer.signal
        maker.scalarizer.signal = lambda s, b, f=original: (seen.append(b), f(s, b))[1]  # type: ignore[method-assign]
        maker.make(maker.scalarizer.init(), drawn(0))
    assert computed == ["policy_gramian", "all_token_log_prob", "all_token_log_prob"]
    optional = Batch._fields[2:]
    given = [[f for f in optional if getattr(batch, f) is not None] for batch in seen]
    assert given == [["gramian"], ["mask"], ["log_ratio_to_reference"], []]


def test_ratios_to_the_reference_are_those_of_single_rows(policy, drawn) -> None:
    model, batch = policy[0], drawn(0)
    reference = copy.deepcopy(model)
    maker = signals(policy, "pama", reference, reference=True)
    at_start = maker._batch(batch, None).log_ratio_to_reference
    assert at_start is not None
    assert not at_start.any()
    with torch.no_grad():
        for p in trainable(model).values():
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    found = maker._batch(batch, None).log_ratio_to_reference
    assert found is not None
    assert found.shape == batch.completions.mask.shape
    for row in (0, 13, 35):
        single = batch.completions.rows(torch.tensor([row]))
        with torch.no_grad():
            own, other = (token_log_prob(m, single)[0].double() for m in (model, reference))
        width = single.tokens.shape[1]
        # float32 log-probs of size ~10, ~100 roundings each
        assert torch.allclose(found[row, :width], own - other, rtol=0, atol=100 * 2.0**-23 * 10)
        assert not found[row, width:].any()
    assert found.abs().max() > 0.01


@pytest.mark.parametrize("normaliser", sorted(NORMALISERS))
def test_every_normaliser_can_be_chosen(policy, drawn, normaliser: str) -> None:
    maker, batch = signals(policy, "linear"), drawn(0)
    maker.config = replace(maker.config, normaliser=normaliser)
    applied = maker.make(maker.scalarizer.init(), batch)
    score = batch.rewards.mean(1)
    expected = group_advantage(score, batch.completions.prompt, normaliser)
    assert torch.allclose(applied.advantage, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("advantage", "message"),
    [
        (torch.ones(3), r"shape \(3,\): give \(36,\), one a completion, or \(36, \d+\)"),
        (torch.full((36,), float("nan")), "not finite"),
    ],
)
def test_an_advantage_that_does_not_fit_is_refused(
    policy, drawn, advantage: Tensor, message: str
) -> None:
    maker = signals(policy, "linear")
    maker.scalarizer.signal = lambda state, batch: (state, Signal(batch.rewards[:, 0], advantage))  # type: ignore[method-assign]
    with pytest.raises(CovlawError, match=message):
        maker.make(None, drawn(0))

"""Audits under truncation: covariance and leak add up to the change, known by enumeration."""

from copy import deepcopy

import pytest
import torch

from covlaw.llm.audit.leak import leak_record
from covlaw.llm.audit.terms import Transition
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.policy_step import StepTrace
from covlaw.llm.model.parameters import copy_of
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.sampling.truncation import Truncation, sampling_log_prob

PROMPTS = [f"{a} + {b} = ?" for a in range(1, 6) for b in range(1, 5)]
TRUNCATION = Truncation(top_k=4, top_p=0.9)
CONFIG = TrainConfig(top_k=4, top_p=0.9, max_tokens=1)


def reward(tokens: torch.Tensor) -> torch.Tensor:
    """Two objectives of the single token drawn, one of them centred nowhere near 0."""
    return torch.stack([(tokens % 5).double(), 3.0 + (tokens == 7).double()], -1)


def exact(model, tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """(P, V) token probabilities after truncation, (P, M) mean rewards."""
    ids = torch.tensor([tokenizer(p)["input_ids"] for p in PROMPTS])
    with torch.no_grad():
        probability = sampling_log_prob(model(ids).logits[:, -1], 1.0, TRUNCATION).double().exp()
    return probability, probability @ reward(torch.arange(probability.shape[1]))


@pytest.fixture
def moved(policy):
    """A policy before and after a large step."""
    old, tokenizer = policy
    new, generator = deepcopy(old), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in new.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return old, new, tokenizer


def sample(model, tokenizer, seed: int, n: int = 200) -> SampledRollouts:
    engine = TransformersEngine(model, tokenizer, TRUNCATION)
    drawn = engine.sample(PROMPTS, n, 1, 1.0, torch.Generator().manual_seed(seed))
    return SampledRollouts.of(drawn, reward(drawn.tokens[:, 0]), ("first", "second"))


def test_covariance_and_leak_are_the_change_of_the_truncated_policy(moved) -> None:
    old, new, tokenizer = moved
    test, fresh = sample(old, tokenizer, 0), sample(new, tokenizer, 1)
    found = leak_record(
        new,
        test,
        fresh,
        Transition(StepTrace(iterates=[copy_of(old)]), 0.1),
        CONFIG,
    )
    (before, mean_before), (after, mean_after) = exact(old, tokenizer), exact(new, tokenizer)
    mass = (after * (before == 0)).sum(1).mean()
    assert mass > 0.05
    # five standard errors, as the record gives them
    assert abs(found["mass"] - mass) < 5 * found["mass_se"]
    for j in range(2):
        change = (mean_after - mean_before)[:, j].mean()
        estimate = sum(found[part]["estimate"][j] for part in ("covariance", "term"))
        error = sum(found[part]["se"][j] ** 2 for part in ("covariance", "term")) ** 0.5
        # clustered by prompt, so the spread between prompts, which is none here, is in them too
        assert abs(estimate - change) < 5 * error
        values = reward(torch.arange(after.shape[1]))[:, j]
        term = (after * (before == 0) * (values - mean_before[:, j : j + 1])).sum(1).mean()
        assert abs(found["term"]["estimate"][j] - term) < 5 * found["term"]["se"][j]


def test_nothing_leaks_where_nothing_moved(moved) -> None:
    old, _, tokenizer = moved
    test, fresh = sample(old, tokenizer, 0), sample(old, tokenizer, 1)
    found = leak_record(
        old,
        test,
        fresh,
        Transition(StepTrace(iterates=[copy_of(old)]), 0.1),
        CONFIG,
    )
    assert found["mass"] == 0
    assert found["term"]["estimate"] == [0.0, 0.0]
    assert found["covariance"]["estimate"] == [0.0, 0.0]

"""A policy step's gradient is the law's: W ∇log π, whatever the micro-batches."""

from dataclasses import replace

import pytest
import torch

from covlaw.llm.config import TrainConfig
from covlaw.llm.log_prob import token_log_prob
from covlaw.llm.loss_pass import accumulate
from covlaw.llm.parameters import at, copy_of, gradients, trainable
from covlaw.llm.policy_step import policy_step
from covlaw.llm.training_batch import TrainingBatch
from covlaw.theory.clipping import effective_weight

CONFIG = TrainConfig(learning_rate=1e-3, aggregation="sequence_sum", grad_clip=0.0)


@pytest.fixture
def batch(draw) -> TrainingBatch:
    completions = draw(n=12)
    generator = torch.Generator().manual_seed(5)
    advantage = torch.randn(len(completions.text), generator=generator).double()
    return TrainingBatch(completions, advantage)


def moved(model, scale: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    own = copy_of(model)
    return {n: p + scale * torch.randn(p.shape, generator=generator) for n, p in own.items()}


def loss_gradient(model, batch, config) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    accumulate(model, batch, config)
    return gradients(model)


def relative_gap(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    flat = [torch.cat([g[n].reshape(-1).double() for n in sorted(a)]) for g in (a, b)]
    return float((flat[0] - flat[1]).norm() / flat[1].norm())


# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10


@pytest.mark.parametrize("aggregation", ["sequence_sum", "sequence_mean", "token_mean"])
def test_micro_batches_add_up_to_the_whole_batch(policy, batch, aggregation) -> None:
    config = replace(CONFIG, aggregation=aggregation)
    whole = loss_gradient(policy[0], batch, config)
    parts = loss_gradient(policy[0], batch, replace(config, micro_batch=5))
    assert relative_gap(parts, whole) < ROUNDING


@pytest.mark.parametrize("dual_clip", [0.0, 1.5])
def test_the_clipped_gradient_is_the_weighted_score(policy, batch, dual_clip) -> None:
    """T24 on the trainer: ∇L_clip = mean over completions of Σ_t w_t ∇log π_t."""
    model, config = policy[0], replace(CONFIG, dual_clip=dual_clip)
    with torch.no_grad():
        old = token_log_prob(model, batch.completions)
    with at(model, moved(model, 0.1)):
        found = loss_gradient(model, batch._replace(behaviour_log_prob=old), config)
        log_prob = token_log_prob(model, batch.completions)
        ratio, mask = (log_prob - old).detach(), batch.completions.mask
        rows, width = mask.shape
        weight = effective_weight(
            batch.advantage.repeat_interleave(width), ratio.reshape(-1), None, *config.clip
        ).reshape(rows, width)
        clipped_share = float(((weight == 0) & mask).sum() / mask.sum())
        model.zero_grad(set_to_none=True)
        (-(weight * mask * log_prob).sum() / rows).backward()
        expected = gradients(model)
    assert 0.02 < clipped_share < 0.98
    assert relative_gap(found, expected) < ROUNDING


def test_the_first_inner_step_is_the_plain_policy_gradient(policy, batch) -> None:
    """T26: at ratio 1 nothing is clipped, however narrow the range."""
    narrow = replace(CONFIG, clip_low=0.0, clip_high=0.0)
    wide = replace(CONFIG, clip_low=1.0, clip_high=1e9)
    plain = loss_gradient(policy[0], batch, wide)
    assert relative_gap(loss_gradient(policy[0], batch, narrow), plain) < ROUNDING


def test_inner_steps_clip_and_are_traced(policy, batch) -> None:
    model, config = policy[0], replace(CONFIG, epochs=3, learning_rate=3e-2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    before = copy_of(model)
    trace = policy_step(model, optimizer, batch, config, keep=True)
    assert len(trace.iterates) == len(trace.ascent) == 3
    assert all(torch.equal(trace.iterates[0][n], before[n]) for n in before)
    assert trace.clip_fraction_low + trace.clip_fraction_high > 0
    assert trace.engine_log_prob_gap < 1e-4  # float32 log-probs, cached against one pass
    assert all(p.grad is None for p in trainable(model).values())


def test_kl_is_zero_at_the_reference_and_counts_afterwards(policy, batch) -> None:
    import copy

    model, config = policy[0], replace(CONFIG, kl_coefficient=0.1, learning_rate=1e-2)
    reference = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    first = policy_step(model, optimizer, batch, config, reference)
    second = policy_step(model, optimizer, batch, config, reference)
    assert first.kl_reference == pytest.approx(0.0, abs=1e-6)
    assert second.kl_reference is not None
    assert second.kl_reference > 1e-3

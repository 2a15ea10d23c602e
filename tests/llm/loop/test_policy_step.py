"""A policy step's gradient is the law's: W ∇log π, whatever the micro-batches."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from transformers import Qwen2ForCausalLM

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop import policy_step as policy_step_module
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.policy_step import mini_batches, policy_step
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.parameters import at, copy_of, gradients, trainable
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.losses import effective_weight

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
            batch.advantage.repeat_interleave(width),
            ratio.reshape(-1),
            dual_clip=dual_clip or None,
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
    model, config = policy[0], replace(CONFIG, kl_coefficient=0.1, learning_rate=1e-2)
    reference = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    first = policy_step(model, optimizer, batch, config, reference)
    second = policy_step(model, optimizer, batch, config, reference)
    assert first.kl_reference == pytest.approx(0.0, abs=1e-6)
    assert second.kl_reference is not None
    assert second.kl_reference > 1e-3


PENALISED = replace(
    CONFIG, epochs=2, mini_batches=3, kl_coefficient=0.3, kl_estimator="k2", entropy_coefficient=0.2
)


def stepped(policy_folder, batch, config, rate: float):
    """A fresh policy and its trace after one update by plain gradient descent."""
    model = Qwen2ForCausalLM.from_pretrained(policy_folder, dtype=torch.float32).eval()
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in reference.parameters():
            p.mul_(0.9)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    wanted = reference if config.kl_coefficient else None
    return model, policy_step(model, optimizer, batch, config, wanted, keep=True)


@pytest.mark.parametrize("aggregation", ["sequence_sum", "sequence_mean", "token_mean"])
def test_an_update_is_the_sum_of_its_inner_steps_penalties_included(
    policy_folder, policy, batch, aggregation
) -> None:
    """T9's step field on gradient descent: u = η Σ_k ĝ_k, whatever the mini-batches."""
    config, rate = replace(PENALISED, aggregation=aggregation), 0.05
    before = copy_of(policy[0])
    model, trace = stepped(policy_folder, batch, config, rate)
    assert len(trace.ascent) == len(trace.iterates) == 6
    total = {n: rate * torch.stack([a[n] for a in trace.ascent]).double().sum(0) for n in before}
    moved_by = {n: p.double() - before[n].double() for n, p in copy_of(model).items()}
    for name, p in before.items():  # each inner step rounds a parameter once, and its own product
        size = 2 * p.abs().double() + total[name].abs()
        assert ((moved_by[name] - total[name]).abs() <= 6 * 2.0**-23 * size.max()).all()
    assert sum(float(t.norm()) for t in total.values()) > 0.05
    assert all(torch.equal(trace.iterates[0][n], before[n]) for n in before)


def test_mini_batches_part_each_epoch_anew_by_the_seed() -> None:
    config = replace(CONFIG, epochs=3, mini_batches=4, seed=1)
    rows = [r.tolist() for r in mini_batches(14, config, step=5)]
    assert [len(r) for r in rows] == [4, 4, 3, 3] * 3
    epochs = [rows[4 * k : 4 * k + 4] for k in range(3)]
    assert all(sorted(row for part in epoch for row in part) == list(range(14)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert rows == [r.tolist() for r in mini_batches(14, config, step=5)]
    assert rows != [r.tolist() for r in mini_batches(14, config, step=6)]
    assert rows != [r.tolist() for r in mini_batches(14, replace(config, seed=2), step=5)]
    assert list(mini_batches(14, replace(CONFIG, epochs=3), step=5)) == [None] * 3


@pytest.mark.parametrize("aggregation", ["sequence_sum", "sequence_mean"])
def test_mini_batches_that_do_not_move_average_to_the_whole_batch(
    policy_folder, policy, batch, aggregation
) -> None:
    """So the expected gradient of a mini-batch is the batch's: what an audit puts in its place."""
    config = replace(CONFIG, aggregation=aggregation)
    whole = loss_gradient(policy[0], batch, config)
    assert len(batch.advantage) % 4 == 0
    _, trace = stepped(policy_folder, batch, replace(config, mini_batches=4), 0.0)
    mean = {n: -torch.stack([a[n] for a in trace.ascent]).mean(0) for n in whole}
    assert relative_gap(mean, whole) < ROUNDING
    assert relative_gap({n: -g for n, g in trace.ascent[0].items()}, whole) > 100 * ROUNDING


def test_the_first_mini_batch_is_on_policy_and_the_next_is_not(
    policy_folder, batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room to move at all, only ratios of exactly 1 count, and other kernels round."""
    read = policy_step_module.all_token_log_prob
    monkeypatch.setattr(policy_step_module, "all_token_log_prob", lambda *a: read(*a) * (1 - 1e-6))
    closed = replace(CONFIG, clip_low=0.0, clip_high=0.0, mini_batches=2)
    _, trace = stepped(policy_folder, batch, closed, 0.5)
    _, wide = stepped(policy_folder, batch, replace(closed, clip_low=1.0, clip_high=math.inf), 0.5)
    assert all(torch.equal(a, wide.ascent[0][n]) for n, a in trace.ascent[0].items())
    assert relative_gap(trace.ascent[1], wide.ascent[1]) > 100 * ROUNDING
    assert trace.clip_fraction_low + trace.clip_fraction_high > 0.2
    assert trace.engine_log_prob_gap < 1e-4  # of all rows, before the update


def test_leave_one_out_is_dr_grpo_at_a_larger_rate(policy, batch) -> None:
    """T20: K/(K−1) times the gradient, here with K = 12."""
    prompt, score = batch.completions.prompt, batch.advantage
    found = []
    for name in ("rloo", "dr_grpo"):
        config = replace(CONFIG, normaliser="", aggregation="", algorithm=name)
        advantage = group_advantage(score, prompt, config.normaliser)
        found.append(loss_gradient(policy[0], batch._replace(advantage=advantage), config))
    assert relative_gap(found[0], {n: 12 / 11 * g for n, g in found[1].items()}) < ROUNDING
    assert relative_gap(*found) > 100 * ROUNDING


def test_penalties_pull_towards_the_reference_and_to_entropy(policy_folder, batch) -> None:
    """At advantage 0 nothing else is left; each lowers its own term."""
    still = batch._replace(advantage=torch.zeros_like(batch.advantage))
    for config in (
        replace(CONFIG, kl_coefficient=1.0, kl_estimator="k2"),
        replace(CONFIG, kl_coefficient=1.0, kl_estimator="k3"),
        replace(CONFIG, entropy_coefficient=1.0),
    ):
        _, first = stepped(policy_folder, still, replace(config, epochs=2), 1e-4)
        size = sum(float(a.norm() ** 2) for a in first.ascent[0].values())
        agreement = sum(float((a * first.ascent[1][n]).sum()) for n, a in first.ascent[0].items())
        assert 0.5 * size < agreement < size  # downhill, and flatter there
        assert (first.kl_reference is None) == (config.kl_coefficient == 0)
        assert (first.entropy is None) == (config.entropy_coefficient == 0)

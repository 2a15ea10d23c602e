"""GDPO: each reward in units of its own std in the group, before anything is added."""

import numpy as np
import pytest
import torch
from frozen_rungs import EXACT_RUNGS, covariances, frozen_batch, gain, over_prompt_std, rung_worlds
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.scalarizers import Batch, make_scalarizer


def advantage(batch: Batch, **options: object) -> Tensor:
    names = [f"objective {j}" for j in range(batch.rewards.shape[1])]
    scalarizer = make_scalarizer("gdpo", names, **options)
    _, signal = scalarizer.signal(scalarizer.init(), batch)
    assert signal.advantage is not None
    assert torch.equal(signal.advantage, signal.score)
    return signal.advantage


def sampled(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(
        torch.as_tensor(rng.normal(size=(24, 3))), torch.as_tensor(rng.permutation(24) % 4)
    )


def test_samples_get_the_weighted_sum_of_grpos_advantages() -> None:
    batch = sampled()
    columns = [group_advantage(column, batch.prompt, "grpo") for column in batch.rewards.T]
    expected = torch.stack(columns, 1) @ torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    plain = advantage(batch, weights=[2, 1, 1], whiten=False)
    assert ((plain - expected).abs() <= rounding(8.0, 256)).all()
    whitened = advantage(batch, weights=[2, 1, 1])
    assert abs(whitened.square().mean() - 1) <= rounding(1.0, 256)
    assert (
        (whitened * expected.square().mean().sqrt() - expected).abs() <= rounding(8.0, 512)
    ).all()


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_covariances_are_sums_of_correlations(rung: str) -> None:
    """E_x sd_x(r_j)·Σ_k w_k corr_x(r_j, r_k), each term through GRPO's advantage of r_k alone."""
    for world in rung_worlds(rung, 4):
        count = world.rewards.shape[1]
        weights = torch.arange(1.0, count + 1).double() / (count * (count + 1) / 2)
        found = gain(world, advantage(frozen_batch(world), weights=weights.tolist(), whiten=False))
        alone = torch.stack([gain(world, over_prompt_std(world, r)) for r in world.rewards.T], 1)
        size, deviation = world.rewards.abs().max(), covariances(world).deviations()
        spread = size / deviation[deviation > covariances(world).noise].min()
        # an advantage is at most `spread`, and errs by the relative error of its std, γ·spread
        allowed = rounding(size * spread * (1 + spread), 64 * (len(world.prompt) + 8))
        assert ((found - alone @ weights).abs() <= allowed).all()


def test_an_objectives_scale_and_offset_have_no_say() -> None:
    batch = sampled()
    plain = advantage(batch)
    for factor, offset in ((2.0**-30, 0.0), (2.0**30, 0.0), (3.0, 7.0)):
        changed = batch.rewards.clone()
        changed[:, 1] = factor * changed[:, 1] + offset
        found = advantage(batch._replace(rewards=changed))
        assert ((found - plain).abs() <= rounding(64.0, 1024)).all()


def test_sum_then_normalise_confuses_what_gdpo_tells_apart() -> None:
    """Rewards (0, 1) and (1, 0), the first twice as often, have one sum: one advantage by GRPO."""
    rewards = torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 0]], dtype=torch.float64)
    batch = Batch(rewards, torch.zeros(4).long())
    grpo = group_advantage(rewards.sum(1), batch.prompt, "grpo")
    assert grpo[0] == grpo[1]
    found = advantage(batch)
    assert found[0] > found[1]  # the rarer one is worth more: sd √(3/16) against √(1/4)


def test_it_can_sacrifice_an_objective_as_its_correlations_say() -> None:
    """corr(r_3, r_1) = corr(r_3, r_2) = −0.9…: Σ_k corr_3k < 0 whatever the scales."""
    x = torch.tensor([1.0, -1, 2, -2, 0.5, -0.5], dtype=torch.float64)
    jitter = torch.tensor([0.2, 0.1, -0.3, 0.2, -0.1, -0.1], dtype=torch.float64)
    rewards = torch.stack([x, x + jitter, 1e6 * (jitter - x)], 1)
    mass = torch.full((6,), 1 / 6, dtype=torch.float64)
    batch = Batch(rewards, torch.zeros(6).long(), mass)
    correlation = torch.corrcoef(rewards.T)
    assert correlation[2].sum() < 0
    signs = ((rewards - mass @ rewards) * (mass * advantage(batch))[:, None]).sum(0).sign()
    assert torch.equal(signs, correlation.sum(1).sign())


def test_constant_groups_are_silent_and_lonely_completions_refused() -> None:
    rewards = torch.tensor([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]], dtype=torch.float64)
    batch = Batch(rewards, torch.zeros(3).long())
    alone = group_advantage(rewards[:, 1], batch.prompt, "grpo") / 2
    assert ((advantage(batch, whiten=False) - alone).abs() <= rounding(2.0, 64)).all()
    still = batch._replace(rewards=torch.full((3, 2), 0.1).double())
    assert advantage(still).tolist() == [0, 0, 0]
    with pytest.raises(CovlawError, match="single completion"):
        advantage(batch._replace(prompt=torch.arange(3)))


def verl_whitened(summed: list[float], lengths: list[int]) -> list[float]:
    """What verl makes of the sum, in plain Python: whitened over all tokens of the batch.

    (A − mean)/√(var + 1e-8), each token of a completion having its A, var with divisor n − 1
    (verl 0.9, `compute_gdpo_outcome_advantage` and `masked_whiten`).
    """
    count = sum(lengths)
    mean = sum(a * n for a, n in zip(summed, lengths, strict=True)) / count
    square = sum(n * (a - mean) ** 2 for a, n in zip(summed, lengths, strict=True))
    return [(a - mean) / (square / (count - 1) + 1e-8) ** 0.5 for a in summed]


def z_sum(rewards: Tensor, prompt: Tensor, epsilon: float) -> list[float]:
    """Σ_k (r_k − mean)/(std + ε) of each group, std with divisor K − 1, in plain Python."""
    rows = range(len(prompt))
    total = [0.0 for _ in rows]
    for k in range(rewards.shape[1]):
        for x in set(prompt.tolist()):
            own = [i for i in rows if prompt[i] == x]
            values = [float(rewards[i, k]) for i in own]
            mean = sum(values) / len(values)
            std = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
            for i, v in zip(own, values, strict=True):
                total[i] += (v - mean) / (std + epsilon)
    return total


@pytest.mark.parametrize(("peer", "epsilon"), [("TRL", 1e-4), ("verl", 1e-6)])
def test_the_peers_advantage_is_this_one_up_to_their_epsilons(peer: str, epsilon: float) -> None:
    """The batch factor of both is a std with divisor n − 1, ours the root mean square.

    In TRL n counts completions, in verl tokens; of completions of one length the mean is 0 in both.
    """
    batch, length = sampled(), 5
    summed, count = z_sum(batch.rewards, batch.prompt, epsilon), len(batch.prompt)
    if peer == "verl":
        theirs, tokens = verl_whitened(summed, [length] * count), count * length
    else:
        std = (sum(a * a for a in summed) / (count - 1)) ** 0.5
        theirs, tokens = [a / (std + epsilon) for a in summed], count
    ours = advantage(batch) * ((tokens - 1) / tokens) ** 0.5
    groups = [batch.rewards[batch.prompt == x].std(0).min() for x in range(4)]
    # each z-score is smaller by ε/(std + ε), and the batch factor by ε/(std of the sum + ε)
    slack = 4 * (epsilon / float(min(groups)) + epsilon)
    assert ((ours - torch.tensor(theirs)).abs() <= slack * ours.abs().max()).all()


def test_verls_whitening_counts_tokens_and_so_moves_the_baseline() -> None:
    """Where lengths differ its mean is no longer 0: long completions pull the others' baseline."""
    batch = sampled()
    summed = z_sum(batch.rewards, batch.prompt, 1e-6)
    lengths = [1 + 9 * (a > 0) for a in summed]
    theirs = torch.tensor(verl_whitened(summed, lengths))
    assert abs(theirs.mean()) > 0.1
    assert abs(advantage(batch).mean()) <= rounding(8.0, 256)

"""KL and entropy in a loss: their gradients against enumeration, and losses that must agree."""

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import CLIPS, token_batches
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses.aggregation import AGGREGATIONS, aggregate, share_of
from covlaw.theory.losses.kl_penalty import kl_to_reference
from covlaw.theory.losses.ppo import PPO

VOCABULARY, LENGTH = 3, 3  # token 0 ends a completion
SHARES = ((2, 1, 1), (1, 2, 1), (1, 1, 2))  # quarters


class Enumerated(NamedTuple):
    """64 rows: every completion as often as its probability says, so a mean is an expectation."""

    logits: Tensor
    """(H, V) log-probabilities of each context's tokens, a leaf."""
    reference: Tensor
    """(H, V)."""
    context: Tensor
    """(64, T)."""
    tokens: Tensor
    """(64, T)."""
    mask: Tensor
    """(64, T)."""

    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probs, the reference's, and entropies: (64, T) each."""
        policy, reference = self.logits.log_softmax(-1), self.reference.log_softmax(-1)
        chosen = (t[self.context, self.tokens] for t in (policy, reference))
        entropy = -(policy.exp() * policy).sum(-1)[self.context]
        return (*chosen, entropy)

    def visits(self, weight: Tensor) -> Tensor:
        """E Σ_t weight·1[h_t = h] of each context: (H,)."""
        total = torch.zeros(len(self.logits), dtype=torch.float64)
        return total.index_add(0, self.context[self.mask], weight[self.mask]) / len(self.mask)


@pytest.fixture
def world() -> Enumerated:
    contexts = [c for n in range(LENGTH) for c in itertools.product((1, 2), repeat=n)]
    shares = {c: SHARES[k % 3] for k, c in enumerate(contexts)}
    rows: list[tuple[int, ...]] = []

    def grow(prefix: tuple[int, ...], mass: int) -> None:
        if len(prefix) == LENGTH or (prefix and prefix[-1] == 0):
            rows.extend([prefix] * mass)
            return
        for token, share in enumerate(shares[prefix]):
            grow((*prefix, token), mass * share // 4)

    grow((), 4**LENGTH)
    assert len(rows) == 4**LENGTH
    padded = torch.tensor([row + (0,) * (LENGTH - len(row)) for row in rows])
    mask = torch.arange(LENGTH)[None] < torch.tensor([len(row) for row in rows])[:, None]
    place = [
        [contexts.index(row[:t]) if t < len(row) else 0 for t in range(LENGTH)] for row in rows
    ]
    logits = torch.tensor([shares[c] for c in contexts], dtype=torch.float64).div(4).log()
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(logits.shape, generator=generator, dtype=torch.float64)
    return Enumerated(logits.requires_grad_(), reference, torch.tensor(place), padded, mask)


def weight_of(aggregation: str, mask: Tensor) -> Tensor:
    """What a token's value counts, up to the mean over rows: (N, T)."""
    lengths = mask.sum(1, keepdim=True).double()
    factor = {
        "sequence_sum": torch.ones_like(lengths),
        "sequence_mean": 1 / lengths,
        "token_mean": torch.full_like(lengths, len(mask) / float(mask.sum())),
    }[aggregation]
    return factor.expand(mask.shape)


def by_context(world: Enumerated, kind: str) -> Tensor:
    """Gradient of each context's own KL or entropy with respect to its logits, in closed form."""
    p, q = (t.detach().softmax(-1) for t in (world.logits, world.reference))
    gap = (p / q).log()
    entropy = -(p * p.log()).sum(-1, keepdim=True)
    return {
        "k1": torch.zeros_like(p),
        "k2": p * (gap - (p * gap).sum(-1, keepdim=True)),  # of KL(π ‖ π_ref)
        "k3": p - q,  # of KL(π_ref ‖ π)
        "entropy": -p * (p.log() + entropy),
    }[kind]


# 64 rows of 3 tokens whose terms are at most |log(π/π_ref)|·e^{|log(π/π_ref)|} < 100
ALLOWED = float(rounding(100.0, 4 * 64 * LENGTH + 64))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("kind", ["k1", "k2", "k3", "entropy"])
def test_the_gradient_is_that_of_each_context_and_k1_has_none(
    world: Enumerated, kind: str, aggregation: str
) -> None:
    """At h_t: k1 pulls nowhere, k2 along KL(π ‖ π_ref), k3 along KL(π_ref ‖ π)."""
    log_prob, reference, entropy = world.values()
    value = entropy if kind == "entropy" else kl_to_reference(log_prob, reference, kind)
    (found,) = torch.autograd.grad(aggregate(value, world.mask, aggregation), world.logits)
    weight = weight_of(aggregation, world.mask)
    expected = world.visits(weight)[:, None] * by_context(world, kind)
    if aggregation == "sequence_mean" and kind != "entropy":
        # 1/L knows which tokens followed: the rest of the gradient is Cov(1/L, ·) along each token
        expected = _by_hand(world, kind, weight)
    assert (found - expected).abs().max() <= ALLOWED
    assert found.abs().max() > 1e-3 or (kind == "k1" and aggregation != "sequence_mean")


def _by_hand(world: Enumerated, kind: str, weight: Tensor) -> Tensor:
    """E Σ_t weight·slope_t·∇log π(y_t|h_t), row by row."""
    p, q = (t.detach().softmax(-1) for t in (world.logits, world.reference))
    total = torch.zeros_like(p)
    for n, t in world.mask.nonzero().tolist():
        h, y = int(world.context[n, t]), int(world.tokens[n, t])
        gap = math.log(p[h, y] / q[h, y])
        slope = {"k1": 1.0, "k2": gap, "k3": 1 - math.exp(-gap)}[kind]
        score = -p[h]
        score = score + torch.nn.functional.one_hot(torch.tensor(y), VOCABULARY)
        total[h] += float(weight[n, t]) * slope * score / len(world.mask)
    return total


def test_k1_under_sequence_mean_pays_for_length_whatever_the_reference(world: Enumerated) -> None:
    """Its gradient is that of E[1/L]: minimised, it makes completions longer."""
    log_prob, reference, _ = world.values()
    loss = aggregate(kl_to_reference(log_prob, reference, "k1"), world.mask, "sequence_mean")
    (found,) = torch.autograd.grad(loss, world.logits)
    log_prob, _, _ = world.values()
    sequence = torch.where(world.mask, log_prob, 0.0).sum(1)
    ratio = torch.exp(sequence - sequence.detach())
    (expected,) = torch.autograd.grad((ratio / world.mask.sum(1)).mean(), world.logits)
    assert (found - expected).abs().max() <= ALLOWED
    assert found.abs().max() > 1e-2


def test_k2_is_the_exact_gradient_for_one_token_and_a_part_of_it_for_more(
    world: Enumerated,
) -> None:
    """Of KL(π ‖ π_ref) over whole completions, differentiated by enumeration."""
    first = torch.zeros_like(world.mask)
    first[:, 0] = True
    for mask, exact in ((first, True), (world.mask, False)):
        log_prob, reference, _ = world.values()
        k2 = aggregate(kl_to_reference(log_prob, reference, "k2"), mask, "sequence_sum")
        (found,) = torch.autograd.grad(k2, world.logits)
        log_prob, reference, _ = world.values()
        own, other = (torch.where(mask, t, 0.0).sum(1) for t in (log_prob, reference))
        ratio = torch.exp(own - own.detach())  # rows are as often as π_old draws them
        (expected,) = torch.autograd.grad((ratio * (own - other)).mean(), world.logits)
        gap = float((found - expected).abs().max())
        assert gap <= ALLOWED if exact else gap > 1e-2


Tokens = tuple[Tensor, Tensor, Tensor]
LARGEST = 2.0 * math.exp(2) * 3  # |A|·ρ of `token_batches`


@given(token_batches(), st.sampled_from(AGGREGATIONS), st.data())
def test_parts_add_up_to_the_whole(batch: Tokens, aggregation: str, data) -> None:
    _, log_ratio, mask = batch
    value = torch.where(mask.bool(), log_ratio, torch.nan)  # padding is never read
    cut = data.draw(st.integers(0, len(mask)))
    parts = [
        share_of(m, mask, aggregation) * aggregate(v, m, aggregation)
        for v, m in ((value[:cut], mask[:cut]), (value[cut:], mask[cut:]))
        if len(m)
    ]
    whole = aggregate(value, mask, aggregation)
    size = log_ratio[mask.bool()].abs().sum()
    assert abs(sum(parts) - whole) <= rounding(size, 4 * mask.numel() + 8)


@given(token_batches(), CLIPS)
def test_equal_lengths_make_the_mean_a_fraction_of_the_sum(batch: Tokens, clip) -> None:
    advantage, log_ratio, mask = batch
    full, steps = torch.ones_like(mask), mask.shape[1]
    ratio = torch.where(mask.bool(), log_ratio, 0.0)
    total, mean, tokens = (
        PPO(*clip, a).loss(advantage, ratio, full)
        for a in ("sequence_sum", "sequence_mean", "token_mean")
    )
    allowed = rounding(LARGEST, 4 * mask.numel() + 8)
    assert abs(total / steps - mean) <= allowed
    assert abs(tokens - mean) <= allowed


@given(token_batches(), st.sampled_from(AGGREGATIONS))
def test_a_range_without_ends_does_not_clip(batch: Tokens, aggregation: str) -> None:
    advantage, log_ratio, mask = batch
    found = PPO(1.0, math.inf, None, aggregation).loss(advantage, log_ratio, mask)
    safe = torch.where(mask.bool(), log_ratio, 0.0)
    plain = -aggregate(safe.exp() * advantage[:, None], mask, aggregation)
    assert torch.equal(found, plain)

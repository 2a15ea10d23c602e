"""The clipped loss: its value by the published formula, its gradient by the effective weight."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import CLIPS, token_batches
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.aggregation import AGGREGATIONS
from covlaw.theory.losses.clipping import clipped_surrogate
from covlaw.theory.losses.kl_penalty import KL_ESTIMATORS, kl_to_reference
from covlaw.theory.losses.ppo import PPO

Clip = tuple[float, float, float | None]
Tokens = tuple[Tensor, Tensor, Tensor]
SIZE = 2.0 * math.exp(2) * 3  # |A|·ρ, or |A|·c: the largest value of a token


def surrogate_of_a_token(advantage: float, log_ratio: float, clip: Clip) -> float:
    """Schulman et al. 2017, eq. 7; Ye et al. 2020, eq. 6."""
    low, high, dual = clip
    ratio = math.exp(log_ratio)
    value = min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    return max(value, dual * advantage) if dual is not None and advantage < 0 else value


def loss_by_enumeration(batch: Tokens, clip: Clip, aggregation: str) -> float:
    advantage, log_ratio, mask = (t.tolist() for t in batch)
    rows = [
        [surrogate_of_a_token(a, x, clip) for x, true in zip(xs, trues, strict=True) if true]
        for a, xs, trues in zip(advantage, log_ratio, mask, strict=True)
    ]
    if aggregation == "token_mean":
        tokens = [value for row in rows for value in row]
        return -math.fsum(tokens) / max(len(tokens), 1)
    lengths = [len(row) if aggregation == "sequence_mean" else 1 for row in rows]
    parts = [math.fsum(row) / max(n, 1) for row, n in zip(rows, lengths, strict=True)]
    return -math.fsum(parts) / len(parts)


@given(token_batches(), CLIPS, st.sampled_from(AGGREGATIONS))
def test_value_is_the_published_formula(batch: Tokens, clip: Clip, aggregation: str) -> None:
    seen = PPO(*clip, aggregation).loss(*batch)
    tokens = batch[1].numel()
    expected = loss_by_enumeration(batch, clip, aggregation)
    assert abs(seen.item() - expected) <= rounding(SIZE * tokens, tokens + 8)


@given(token_batches(), CLIPS)
def test_gradient_is_the_effective_weight(batch: Tokens, clip: Clip) -> None:
    """T24, token by token: −∂loss/∂log π = W, and padding gets no gradient, not even NaN."""
    advantage, log_ratio, mask = batch
    live = log_ratio.clone().requires_grad_()
    PPO(*clip, "sequence_mean").loss(advantage, live, mask).backward()
    gradient = -live.grad * mask.shape[0]
    assert (gradient[~mask] == 0).all()
    expected = effective_weight(advantage, log_ratio, mask, *clip)
    assert ((gradient.sum(1) - expected).abs() <= rounding(SIZE, mask.shape[1] + 8)).all()


@given(st.sampled_from([-2.0, 0.0, 1.5]), CLIPS)
def test_gradient_at_the_edges_of_the_range(advantage: float, clip: Clip) -> None:
    """At ρ = 1 ± ε and ρ = c exactly, the token still counts: W says so, and so must autograd."""
    low, high, dual = clip
    edges = [x for x in (1 - low, 1 + high, dual) if x is not None and 0 < x < math.inf]
    log_ratio = torch.tensor(edges, dtype=torch.float64).log().requires_grad_()
    a = torch.full_like(log_ratio, advantage)
    clipped_surrogate(a, log_ratio, *clip).sum().backward()
    expected = effective_weight(a, log_ratio, None, *clip)
    assert ((log_ratio.grad - expected).abs() <= rounding(6.0, 8)).all()


def test_an_empty_batch_of_tokens_has_loss_zero() -> None:
    log_ratio, mask = torch.full((2, 3), torch.nan), torch.zeros(2, 3)
    for aggregation in AGGREGATIONS:
        loss = PPO(aggregation=aggregation).loss(torch.ones(2), log_ratio, mask)
        assert loss.item() == 0


POLICY, REFERENCE = (0.2, 0.5, 0.3), (0.6, 0.1, 0.3)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_kl_estimators_are_unbiased(estimator: str) -> None:
    p, q = (torch.tensor(t, dtype=torch.float64) for t in (POLICY, REFERENCE))
    expected = math.fsum(a * math.log(a / b) for a, b in zip(POLICY, REFERENCE, strict=True))
    seen = p @ kl_to_reference(p.log(), q.log(), estimator)
    assert abs(seen.item() - expected) <= rounding(4.0, 16)


@given(st.floats(-30, 30))
def test_k2_and_k3_are_never_negative_and_agree_to_second_order(difference: float) -> None:
    k2, k3 = (
        kl_to_reference(torch.tensor(difference).double(), torch.tensor(0.0).double(), k).item()
        for k in ("k2", "k3")
    )
    assert k2 >= 0
    assert k3 >= -rounding(abs(difference), 2)
    # e^{−d} − 1 + d − d²/2 is at most |d|³/6·e^{|d|}
    bound = abs(difference) ** 3 / 6 * math.exp(abs(difference))
    assert abs(k3 - k2) <= bound + rounding(abs(difference), 4) + rounding(k2, 2)


def test_unknown_names_are_refused_with_their_near_matches() -> None:
    tokens = torch.zeros(1, 1)
    with pytest.raises(
        CovlawError, match=r"unknown aggregation 'token-mean': did you mean token_mean"
    ):
        PPO(aggregation="token-mean")
    with pytest.raises(CovlawError, match=r"unknown KL estimator 'k4'.*k1, k2, k3"):
        kl_to_reference(tokens, tokens, "k4")
    assert KL_ESTIMATORS == ("k1", "k2", "k3")


def test_clip_ranges_are_checked() -> None:
    with pytest.raises(CovlawError, match=r"clip_low is -0\.2"):
        clipped_surrogate(torch.ones(1), torch.zeros(1), clip_low=-0.2)

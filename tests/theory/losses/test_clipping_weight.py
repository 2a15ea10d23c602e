"""W = ρ·A·1[not clipped], token by token, with padding that is never read."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import CLIPS, token_batches
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses import _token_loss, effective_weight
from covlaw.theory.losses.clipping import unclipped

Clip = tuple[float, float, float | None]
Tokens = tuple[Tensor, Tensor, Tensor]


def weight_of_a_token(advantage: float, log_ratio: float, clip: Clip) -> float:
    """Part B, for one token."""
    low, high, dual = clip
    ratio = math.exp(log_ratio)
    if advantage >= 0:
        return advantage * ratio if ratio <= 1 + high else 0.0
    kept = ratio >= 1 - low and (dual is None or ratio <= dual)
    return advantage * ratio if kept else 0.0


def weight_of_a_completion(
    advantage: list[float], log_ratio: list[float], mask: list[bool], clip: Clip
) -> float:
    tokens = [
        weight_of_a_token(a, x, clip)
        for a, x, true in zip(advantage, log_ratio, mask, strict=True)
        if true
    ]
    return math.fsum(tokens) / len(tokens) if tokens else 0.0


def assert_tokenwise(advantage: Tensor, log_ratio: Tensor, mask: Tensor, clip: Clip) -> None:
    seen = effective_weight(advantage, log_ratio, mask, *clip)
    per_token = advantage if advantage.ndim == 2 else advantage[:, None].expand_as(mask)
    # |log ρ| ≤ 2, so one rounding of log ρ is two of ρ; exp, product, T sums, one division
    allowed = rounding(2.0 * math.exp(2), mask.shape[1] + 8)
    for n in range(mask.shape[0]):
        row = (per_token[n].tolist(), log_ratio[n].tolist(), mask[n].tolist())
        assert abs(seen[n].item() - weight_of_a_completion(*row, clip)) <= allowed


@given(token_batches(), CLIPS)
def test_token_weights_follow_their_definition(batch: Tokens, clip: Clip) -> None:
    assert_tokenwise(*batch, clip)


@given(token_batches(), CLIPS, st.randoms(use_true_random=False))
def test_advantages_may_differ_by_token(batch: Tokens, clip: Clip, random: object) -> None:
    _, log_ratio, mask = batch
    pick = random.choice  # type: ignore[attr-defined]
    values = [pick([-1.5, -0.1, 0.0, 0.3, 2.0]) if true else math.nan for true in mask.flatten()]
    advantage = torch.tensor(values, dtype=torch.float64).reshape(mask.shape)
    assert_tokenwise(advantage, log_ratio, mask, clip)


@given(token_batches(), CLIPS)
def test_one_token_a_completion_is_the_sequence_level(batch: Tokens, clip: Clip) -> None:
    advantage, log_ratio, mask = (t[:, :1] if t.ndim == 2 else t for t in batch)
    log_ratio = torch.where(mask, log_ratio, 0.0)[:, 0]
    one_token = effective_weight(advantage, log_ratio[:, None], torch.ones_like(mask), *clip)
    assert torch.equal(effective_weight(advantage, log_ratio, None, *clip), one_token)


@given(token_batches(), CLIPS)
def test_padding_is_never_read(batch: Tokens, clip: Clip) -> None:
    advantage, log_ratio, mask = batch
    clean = torch.where(mask, log_ratio, 0.0)
    seen = effective_weight(advantage, log_ratio, mask, *clip)
    assert torch.equal(seen, effective_weight(advantage, clean, mask, *clip))


@given(token_batches(), CLIPS, st.integers(1, 7))
def test_chunks_do_not_change_a_bit(batch: Tokens, clip: Clip, chunk: int) -> None:
    whole = effective_weight(*batch, *clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_token_loss, "CHUNK", chunk)
        assert torch.equal(effective_weight(*batch, *clip), whole)


@given(token_batches(), CLIPS)
def test_on_policy_the_weight_is_the_advantage(batch: Tokens, clip: Clip) -> None:
    advantage, log_ratio, mask = batch
    seen = effective_weight(advantage, torch.zeros_like(log_ratio), mask, *clip)
    expected = torch.where(mask.any(1), advantage, 0.0)
    assert ((seen - expected).abs() <= rounding(advantage, mask.shape[1] + 1)).all()


def test_the_wrong_clip_side_is_refuted() -> None:
    """The sign of A decides which side clips; swapping the sides gives another weight."""
    advantage, ratio = torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([0.5, 1.5, 0.5, 1.5])
    kept = unclipped(advantage, ratio.log())
    assert kept.tolist() == [True, False, False, True]
    assert kept.tolist() != unclipped(-advantage, ratio.log()).tolist()
    outside = (ratio - 1).abs() > 0.2  # "clipped means |ρ − 1| > ε" is false too
    assert kept.tolist() != (~outside).tolist()


@pytest.mark.parametrize("kind", ["float32", "numpy", "requires_grad"])
def test_every_kind_of_input_gives_a_constant_in_float64(kind: str) -> None:
    advantage, log_ratio = torch.tensor([1.0, -2.0]), torch.tensor([[0.1, 0.3], [-0.1, 9.0]])
    mask = torch.tensor([[1, 1], [1, 0]])
    expected = effective_weight(advantage.double(), log_ratio.double(), mask)
    convert = {
        "float32": lambda t: t,
        "numpy": lambda t: t.numpy(),
        "requires_grad": lambda t: t.clone().requires_grad_(t.is_floating_point()),
    }[kind]
    seen = effective_weight(*(convert(t) for t in (advantage, log_ratio, mask)))
    assert seen.dtype == torch.float64
    assert not seen.requires_grad
    assert torch.equal(seen, expected)


ONES = torch.ones(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ONES, torch.ones(2, 3)), r"log_ratio has shape \(2, 3\): give \(N, T\).*with a mask"),
        ((ONES, ONES, ONES), r"log_ratio has shape \(2,\)"),
        ((ONES, torch.ones(2, 3), torch.ones(2, 2)), r"mask \(2, 2\) does not fit"),
        ((torch.ones(3), ONES), r"advantage \(3,\) does not fit log_ratio \(2,\)"),
        ((torch.ones(2, 2), torch.ones(2, 3), torch.ones(2, 3)), r"advantage \(2, 2\) does not"),
        ((ONES, ONES, None, 1.5), r"clip_low is 1.5: use a value in \[0, 1\]"),
        ((ONES, ONES, None, math.nan), r"clip_low is nan"),
        ((ONES, ONES, None, 0.2, -0.1), r"clip_high is -0.1: use a value ≥ 0"),
        ((ONES, ONES, None, 0.2, math.nan), r"clip_high is nan"),
        ((ONES, ONES, None, 0.2, 0.2, 1.0), r"dual_clip is 1.0: use a value > 1"),
        ((torch.tensor([1, math.nan]), ONES), r"row 1 is nan: check its advantage"),
        ((torch.tensor([1, math.nan]), torch.tensor([0.0, -9.0])), r"row 1 is nan"),
        ((ONES, torch.tensor([math.nan, 0.0])), r"row 0 is nan.*log-probs of both policies"),
        ((-ONES, torch.tensor([800.0, 0.0])), r"row 0 is -inf"),
        ((ONES, torch.tensor([[0.0], [math.nan]]), torch.ones(2, 1)), r"row 1 is nan"),
    ],
)
def test_bad_input_names_culprit_and_remedy(arguments: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        effective_weight(*arguments)

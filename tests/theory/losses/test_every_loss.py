"""T24 and T18 for every policy loss: what it weighs is its gradient, and s is W at ratio 1."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses import LOSSES, PolicyLoss, effective_weight, find_loss, make_loss
from covlaw.theory.losses._token_loss import TokenLoss, by_token
from covlaw.theory.losses.aggregation import AGGREGATIONS
from covlaw.theory.losses.cispo import CISPO
from covlaw.theory.losses.gspo import GSPO, GSPOToken
from covlaw.theory.losses.ppo import DAPO, PPO

LOW, HIGH, DUAL = 0.1, 0.15, 1.4
LENGTHS = (5, 3, 1, 4, 2, 5, 0, 4)
VOCABULARY, STEPS = 4, 5


class Setting(NamedTuple):
    """Rows of a softmax policy with one logit a (step, token), some way from where they came."""

    logits: Tensor
    """(T, V) a leaf."""
    tokens: Tensor
    """(N, T)."""
    mask: Tensor
    """(N, T)."""
    advantage: Tensor
    """(N,)."""
    old: Tensor
    """(N, T) log-probs of π_old; NaN off the mask."""

    def log_ratio(self) -> Tensor:
        steps = torch.arange(STEPS)
        return self.logits.log_softmax(1)[steps, self.tokens] - self.old

    def score_sum(self, weight: Tensor) -> Tensor:
        """Σ weight·∇log π of the logits, in closed form: one-hot minus π. (T, V)."""
        policy = self.logits.detach().softmax(1)
        hot = torch.nn.functional.one_hot(self.tokens, VOCABULARY).double()
        return ((hot - policy) * torch.where(self.mask, weight, 0.0)[..., None]).sum(0)


def setting(moved: float = 0.4, seed: int = 1) -> Setting:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = len(LENGTHS)
    logits = normal(STEPS, VOCABULARY).requires_grad_()
    tokens = torch.randint(VOCABULARY, (rows, STEPS), generator=generator)
    mask = torch.arange(STEPS) < torch.tensor(LENGTHS)[:, None]
    own = logits.detach().log_softmax(1)[torch.arange(STEPS), tokens]
    old = torch.where(mask, own - moved * normal(rows, STEPS), torch.nan)
    return Setting(logits, tokens, mask, normal(rows), old)


def batch_divisor(loss: PolicyLoss) -> int:
    return sum(LENGTHS) if loss.aggregation == "token_mean" else len(LENGTHS)


def assert_weights_are_the_gradient(loss: PolicyLoss, at: Setting, advantage: Tensor) -> None:
    """T24: −∇loss = (1/B) Σ w ∇log π by autograd, and W = mean_t w."""
    log_ratio = at.log_ratio()
    (found,) = torch.autograd.grad(loss.loss(advantage, log_ratio, at.mask), at.logits)
    weight = loss.token_weight(advantage, log_ratio.detach(), at.mask)
    expected = at.score_sum(weight) / batch_divisor(loss)
    # |w| ≤ |A|·max(ρ, 1 + HIGH); softmax, exp and a mean over T, twice, then N·T products
    size = advantage.abs().max() * log_ratio[at.mask].exp().max().clamp(min=2)
    allowed = rounding(float(size.detach()) * sum(LENGTHS), 8 * sum(LENGTHS))
    assert ((-found - expected).abs() <= allowed).all()
    assert (weight[~at.mask] == 0).all()
    mean = weight.sum(1) / torch.tensor(LENGTHS).clamp(min=1)
    assert ((loss.weight(advantage, log_ratio, at.mask) - mean).abs() <= allowed).all()


def assert_score_is_the_weight_at_ratio_one(loss: PolicyLoss, at: Setting) -> None:
    """T18: at π_θ = π_old, W = s, and −∇loss = (1/B) Σ s ∇log π."""
    on_policy = at._replace(old=at.log_ratio().detach() + at.old)
    log_ratio = on_policy.log_ratio()
    score = loss.score(at.advantage, torch.tensor(LENGTHS))
    assert score is not None
    (found,) = torch.autograd.grad(loss.loss(at.advantage, log_ratio, at.mask), at.logits)
    expected = at.score_sum(score[:, None].expand(-1, STEPS)) / batch_divisor(loss)
    allowed = rounding(2 * float(at.advantage.abs().max()) * sum(LENGTHS), 8 * sum(LENGTHS))
    assert ((-found - expected).abs() <= allowed).all()
    written = torch.tensor(LENGTHS) > 0
    gap = loss.weight(at.advantage, log_ratio, at.mask) - score
    assert (gap[written].abs() <= allowed).all()
    assert loss.score(by_token(at.advantage), torch.tensor(LENGTHS)) is None


def assert_a_policy_loss(name: str, aggregation: str) -> None:
    """What every entry of `LOSSES` must satisfy, wherever it comes from."""
    ranges = {"clip_low": LOW, "clip_high": HIGH, "aggregation": aggregation}
    loss, at = make_loss(name, **ranges), setting()
    assert isinstance(loss, PolicyLoss)
    low, high = loss.clipped(at.advantage, at.log_ratio().detach(), at.mask)
    assert (~(low | high) & at.mask).any()
    assert not ((low | high) & ~at.mask).any()
    if low.any() or high.any():
        assert low.any()
        assert high.any()
    else:  # a loss that holds nothing back has no use for its ranges
        opened = make_loss(name, **ranges | {"clip_low": 1.0, "clip_high": math.inf})
        weights = [x.weight(at.advantage, at.log_ratio(), at.mask) for x in (loss, opened)]
        assert torch.equal(*weights)
    assert_weights_are_the_gradient(loss, at, at.advantage)
    own = setting(seed=9).advantage[:, None] * torch.linspace(-1, 2, STEPS).double()
    assert_weights_are_the_gradient(loss, at, own)
    assert_score_is_the_weight_at_ratio_one(loss, at)
    parts = [slice(0, 3), slice(3, 4), slice(4, None)]
    whole = loss.aggregate(at.log_ratio().detach(), at.mask)
    shares = [
        loss.share(at.mask[p], at.mask) * loss.aggregate(at.log_ratio().detach()[p], at.mask[p])
        for p in parts
    ]
    assert abs(float(sum(shares) - whole)) <= rounding(float(sum(LENGTHS)), 64)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_is_its_weights_and_its_score(name: str, aggregation: str) -> None:
    assert_a_policy_loss(name, aggregation)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("cls", [PPO, GSPO, GSPOToken])
def test_dual_clip_is_in_the_weights_too(cls: type[TokenLoss], aggregation: str) -> None:
    at = setting(moved=0.6)
    loss = cls(LOW, HIGH, DUAL, aggregation)
    assert_weights_are_the_gradient(loss, at, at.advantage)
    assert_weights_are_the_gradient(loss, at, -at.advantage)
    without = cls(LOW, HIGH, None, aggregation)
    flipped = [
        each.weight(-at.advantage.abs(), at.log_ratio(), at.mask) for each in (loss, without)
    ]
    assert not torch.equal(*flipped)


class NeverClipped(PPO):
    """The usual mistake: W = ρ·A."""

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        return PPO(1.0, math.inf).kept(advantage, log_ratio, mask)


class Dropping(CISPO):
    """CISPO's weight taken for PPO's: what is out of range counts nothing."""

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        return PPO(self.clip_low, self.clip_high).kept(advantage, log_ratio, mask)


class Undivided(GSPO):
    """GSPO's weight without its 1/L (T51's false variant)."""

    def token_weight(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1, keepdim=True).clamp(min=1)
        return super().token_weight(advantage, log_ratio, mask) * lengths


class NeutralLengths(PPO):
    """The score A whatever the aggregation."""

    def score(self, advantage: Tensor, lengths: Tensor) -> Tensor | None:
        return PPO().score(advantage, lengths)


@pytest.mark.parametrize("mutant", [NeverClipped, Dropping, Undivided, NeutralLengths])
def test_a_loss_that_weighs_otherwise_than_it_says_is_refuted(mutant: type[PolicyLoss]) -> None:
    with pytest.raises(AssertionError):
        assert_a_policy_loss(f"{__file__}:{mutant.__name__}", "sequence_mean")


@dataclass(frozen=True)
class SquaredRatio(TokenLoss):
    """A loss of somebody else: (ρ² − 1)/2·A within a range, so that W = ρ²·A there."""

    source: ClassVar[str] = "a test"

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        inside = self._inside(log_ratio) & mask
        return torch.where(inside, torch.expm1(2 * log_ratio) / 2 * advantage, 0.0)

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        inside = self._inside(log_ratio) if mask is None else self._inside(log_ratio) & mask
        return torch.where(inside, (2 * log_ratio).exp() * advantage, 0.0).double()

    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        out = ~self._inside(log_ratio) & mask
        return out & (log_ratio < 0), out & (log_ratio > 0)

    def _inside(self, log_ratio: Tensor) -> Tensor:
        return (log_ratio.exp() - 1).clamp(-self.clip_low, self.clip_high) == log_ratio.exp() - 1


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_loss_from_outside_goes_through_the_same(aggregation: str) -> None:
    own = f"squared={__file__}:{SquaredRatio.__name__}"
    assert_a_policy_loss(own, aggregation)
    weight = effective_weight(torch.ones(1), torch.full((1,), 0.125), loss=own)
    assert weight.item() == pytest.approx(math.exp(0.25), rel=4 * 2.0**-24)


Row = tuple[float, list[float]]


def ppo_row(row: Row) -> float:
    a, x = row
    return math.fsum(
        a * math.exp(v) for v in x if (math.exp(v) <= 1.2 if a >= 0 else math.exp(v) >= 0.8)
    ) / len(x)


def dapo_row(row: Row) -> float:
    a, x = row
    return math.fsum(
        a * math.exp(v) for v in x if (math.exp(v) <= 1.28 if a >= 0 else math.exp(v) >= 0.8)
    ) / len(x)


def cispo_row(row: Row) -> float:
    a, x = row
    return math.fsum(a * min(math.exp(v), 5.0) for v in x) / len(x)


def gspo_row(row: Row) -> float:
    a, x = row
    s = math.exp(math.fsum(x) / len(x))
    keep = s <= 1 + 4e-4 if a >= 0 else s >= 1 - 3e-4
    return a * s / len(x) if keep else 0.0


PUBLISHED: dict[str, Callable[[Row], float]] = {
    "ppo": ppo_row,
    "dapo": dapo_row,
    "cispo": cispo_row,
    "gspo": gspo_row,
    "gspo_token": gspo_row,
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weights_with_the_sources_own_settings(name: str) -> None:
    """By hand, from the papers: arXiv:1707.06347, 2503.14476, 2506.13585, 2507.18071."""
    rows: list[Row] = [
        (1.0, [0.1, 0.19, -0.5]),
        (-2.0, [2.0, -0.3]),
        (0.5, [0.0004, -0.0001, 0.0]),
        (-0.5, [-0.0002, -0.0003]),
        (1.5, [0.22, 0.24]),
        (-1.0, [0.1]),
    ]
    mask = torch.tensor([[k < len(x) for k in range(3)] for _, x in rows])
    padded = [[*x, *[math.nan] * (3 - len(x))] for _, x in rows]
    advantage = torch.tensor([a for a, _ in rows], dtype=torch.float64)
    log_ratio = torch.tensor(padded, dtype=torch.float64)
    found = effective_weight(advantage, log_ratio, mask, loss=name)
    expected = [PUBLISHED[name](row) for row in rows]
    assert found.tolist() == pytest.approx(expected, rel=float(rounding(1.0, 32)), abs=0)


def test_the_sources_own_settings() -> None:
    assert (PPO().clip, PPO().aggregation) == ((0.2, 0.2, None), "sequence_sum")
    assert (DAPO().clip, DAPO().aggregation) == ((0.2, 0.28, None), "token_mean")
    assert (CISPO().clip, CISPO().aggregation) == ((1.0, 4.0, None), "token_mean")
    for cls in (GSPO, GSPOToken):
        assert (cls().clip, cls().aggregation) == ((3e-4, 4e-4, None), "sequence_mean")
    for name, cls in LOSSES.items():
        assert cls.published_aggregation in ("", make_loss(name).aggregation)
        assert cls.source


def test_cispo_drops_nothing() -> None:
    """Sign W = sign A on every token, however far its ratio (T50); PPO drops."""
    at = setting(moved=2.0)
    weight = CISPO().token_weight(at.advantage, at.log_ratio().detach(), at.mask)
    assert (weight.sign() == at.advantage.sign()[:, None])[at.mask].all()
    dropped = PPO().token_weight(at.advantage, at.log_ratio().detach(), at.mask)
    assert (dropped == 0)[at.mask].any()


def test_gspos_two_forms_are_one_where_the_advantage_is_the_completions() -> None:
    at = setting()
    log_ratio = at.log_ratio().detach()
    pair = GSPO(LOW, HIGH), GSPOToken(LOW, HIGH)
    values = [loss.loss(at.advantage, log_ratio, at.mask).item() for loss in pair]
    assert abs(values[0] - values[1]) <= float(rounding(10.0, 32))
    weights = [loss.token_weight(at.advantage, log_ratio, at.mask) for loss in pair]
    assert (weights[0] - weights[1]).abs().max() <= rounding(10.0, 32)
    own = at.advantage[:, None] * torch.linspace(-1, 2, STEPS).double()
    apart = [loss.token_weight(own, log_ratio, at.mask) for loss in pair]
    assert not torch.allclose(*apart)


def test_the_observed_ratio_is_held_as_far_as_the_loss_lets_it_count() -> None:
    ratio, lengths = torch.tensor([0.5, 1.0, 3.0]).double(), torch.tensor([4, 4, 2])
    assert PPO().bounded_ratio(ratio, lengths).tolist() == [0.8, 1.0, 1.2]
    held = GSPO(0.1, 0.2).bounded_ratio(ratio, lengths).tolist()
    assert held == pytest.approx([0.9**4, 1.0, 1.2**2], rel=1e-15)


def test_mistakes_name_culprit_and_remedy() -> None:
    with pytest.raises(CovlawError, match=r"unknown loss 'gpso': did you mean gspo"):
        find_loss("gpso")
    with pytest.raises(CovlawError, match=r"setting of loss 'ppo' 'clip_hi': did you mean clip_hi"):
        make_loss("ppo", clip_hi=0.3)
    with pytest.raises(CovlawError, match=r"dual_clip is 3\.0: cispo has none"):
        make_loss("cispo", dual_clip=3.0)
    with pytest.raises(
        CovlawError, match=r":Setting' is type without published_aggregation, source"
    ):
        find_loss(f"{__file__}:Setting")
    with pytest.raises(CovlawError, match="unknown aggregation 'mean'"):
        make_loss("gspo", aggregation="mean")
    ones = torch.ones(2)
    with pytest.raises(CovlawError, match=r"divides by lengths: give log_ratio \(N, T\)"):
        effective_weight(ones, ones, loss="gspo")
    with pytest.raises(CovlawError, match=r"mean over tokens: give log_ratio \(N, T\)"):
        make_loss("gspo", aggregation="sequence_sum").weight(ones, ones)

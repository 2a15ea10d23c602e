"""T8 with a leak: covariance plus leak term is the change, whatever π_old cannot draw."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.estimators.leak import leak_term

F64 = torch.float64


def test_the_known_instance() -> None:
    """π_old (.5, .5, 0), π_new (.3, .3, .4), r (0, 1, 5): Δ = 2.3 − 0.5, the covariance is 0."""
    old, new = (torch.tensor(p, dtype=F64) for p in ([0.5, 0.5, 0.0], [0.3, 0.3, 0.4]))
    rewards, prompt = torch.tensor([[0.0], [1.0], [5.0]], dtype=F64), torch.zeros(3).long()
    ratio = torch.tensor([0.6, 0.6, 1.0], dtype=F64)  # the last row has no mass
    covariance = within_prompt_covariance(rewards, ratio, prompt, old).estimate
    leak = leak_term(rewards, old == 0, prompt, torch.tensor([[0.5]]), new)
    assert covariance.abs().item() <= rounding(1.0, 10)
    assert float(leak.mass) == 0.4
    assert abs(float(leak.term) - 1.8) <= rounding(5.0, 10)
    assert float(leak.term_error) == 0


@st.composite
def leaking_pairs(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Integer masses of π_old and π_new and integer rewards, a row a prompt; zeros in both."""
    prompts, size = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    masses = st.lists(st.integers(0, 6), min_size=size, max_size=size).filter(any)
    row = st.lists(st.integers(-9, 9), min_size=size, max_size=size)
    return tuple([draw(kind) for _ in range(prompts)] for kind in (masses, masses, row))


def shares(rows: list[list[int]]) -> list[list[Fraction]]:
    return [[Fraction(m, sum(row)) for m in row] for row in rows]


def flat(rows: list[list[Fraction]]) -> Tensor:
    return torch.tensor([float(x) for row in rows for x in row], dtype=F64)


@given(leaking_pairs())
def test_covariance_and_leak_are_the_change(pair) -> None:
    old, new, rewards = shares(pair[0]), shares(pair[1]), pair[2]
    means = [sum(p * r for p, r in zip(*x, strict=True)) for x in zip(old, rewards, strict=True)]
    after = [sum(p * r for p, r in zip(*x, strict=True)) for x in zip(new, rewards, strict=True)]
    change = sum(b - a for a, b in zip(means, after, strict=True)) / len(old)
    size = len(old[0])
    prompt = torch.arange(len(old)).repeat_interleave(size)
    reward, o, n = torch.tensor(rewards).double().reshape(-1, 1), flat(old), flat(new)
    seen = o > 0
    # prompts keep all their rows: mass 0 weighs nothing, and a ratio there is never read
    log_ratio = torch.where(seen, (n / torch.where(seen, o, 1.0)).log(), 0.0)
    before = torch.tensor([[float(m)] for m in means], dtype=F64)
    covariance = exact_change(reward, log_ratio, prompt, o).estimate
    leak = leak_term(reward, ~seen, prompt, before, n)
    # every product is at most 9·max ratio 36; some 30 roundings each
    bound = rounding(2 * 9 * 36 * size * len(old), 40)
    assert abs(float(covariance + leak.term) - float(change)) <= bound
    lost = sum(q for x in zip(old, new, strict=True) for p, q in zip(*x, strict=True) if p == 0)
    assert abs(float(leak.mass) - float(lost / len(old))) <= rounding(size, 40)


def test_samples_give_the_mean_and_its_clustered_error() -> None:
    prompt = torch.tensor([0, 0, 1, 1, 2, 2])
    leaked = torch.tensor([True, False, False, False, True, True])
    rewards = torch.tensor([3.0, 9, 9, 9, 1, 2])[:, None]
    leak = leak_term(rewards, leaked, prompt, torch.ones(3, 1))
    # prompts: (3−1)/2 = 1, 0, (0+1)/2 = 0.5; their mean 0.5, variance 0.25
    assert float(leak.term) == pytest.approx(0.5, abs=float(rounding(3, 10)))
    assert float(leak.term_error) == pytest.approx((0.25 / 3) ** 0.5, abs=float(rounding(3, 10)))
    assert float(leak.mass) == pytest.approx(0.5, abs=float(rounding(1, 10)))


def test_shapes_that_do_not_fit_are_named() -> None:
    prompt, ones = torch.tensor([0, 0, 1, 1]), torch.ones(4, 2)
    with pytest.raises(CovlawError, match=r"leaked \(3,\) for 4"):
        leak_term(ones, torch.ones(3).bool(), prompt, torch.ones(2, 2))
    with pytest.raises(CovlawError, match=r"mean_before has shape \(1, 2\)"):
        leak_term(ones, torch.ones(4).bool(), prompt, torch.ones(1, 2))

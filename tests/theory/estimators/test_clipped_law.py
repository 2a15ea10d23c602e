"""T25, T28: the law of an inner step in rationals, and its estimator on samples."""

from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.clipped_law import centred_weight, clipped_law
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses import effective_weight

CLIP = (0.2, 0.2, None)


def tensor(values: list[Fraction]) -> Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def exact_law(
    old: list[Fraction], new: list[Fraction], r: list[Fraction], a: list[Fraction], centred: bool
) -> Fraction:
    """Cov_θ(r, A·1[not clipped]), or Cov_old(r, W), in rationals."""
    kept = [
        x if (q <= p * Fraction(6, 5) if x >= 0 else q >= p * Fraction(4, 5)) else Fraction(0)
        for p, q, x in zip(old, new, a, strict=True)
    ]
    ratio = [q / p for p, q in zip(old, new, strict=True)]
    measure = new if centred else old
    signal = kept if centred else [x * y for x, y in zip(kept, ratio, strict=True)]
    mean_r, mean_s = (sum(m * v for m, v in zip(measure, f, strict=True)) for f in (r, signal))
    return sum(
        (m * (x - mean_r) * (y - mean_s) for m, x, y in zip(measure, r, signal, strict=True)),
        Fraction(0),
    )


def law(
    old: list[Fraction], new: list[Fraction], r: list[Fraction], a: list[Fraction], centred: bool
) -> float:
    log_ratio = torch.log(tensor(new) / tensor(old))
    prompt = torch.zeros(len(old), dtype=torch.int64)
    columns = tensor(r)[:, None]
    out = clipped_law(columns, tensor(a), log_ratio, CLIP, prompt, tensor(old), centred=centred)
    return float(out.estimate[0])


def test_clipping_can_make_the_surrogate_lower_its_own_score() -> None:
    """T28: Cov_θ(s, A·1) = −1/64, where the uncentred statistic says +1/64."""
    old, new, s = (
        [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)],
        [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)],
        [Fraction(1), Fraction(2), Fraction(0)],
    )
    advantage = [Fraction(1, 4), Fraction(5, 4), Fraction(-3, 4)]
    assert advantage == [x - sum(p * y for p, y in zip(old, s, strict=True)) for x in s]
    assert exact_law(old, new, s, advantage, centred=True) == Fraction(-1, 64)
    assert exact_law(old, new, s, advantage, centred=False) == Fraction(1, 64)
    error = float(rounding(4, 32))
    assert abs(law(old, new, s, advantage, centred=True) + 1 / 64) <= error
    assert abs(law(old, new, s, advantage, centred=False) - 1 / 64) <= error


def test_another_objective_flips_after_one_step() -> None:
    """T28: after one exact step of 0.3, the law of r is −.0094; unclipped it would be +.240."""
    old = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)
    s, r = torch.tensor([[0.0, 1, 2], [0, 1, 1]], dtype=torch.float64)
    advantage, prompt = s - old @ s, torch.zeros(3, dtype=torch.int64)
    assert within_prompt_covariance(r, advantage, prompt, old).estimate.item() == 0.3125
    new = (old * torch.exp(0.3 * s)) / (old @ torch.exp(0.3 * s))
    log_ratio = torch.log(new / old)
    clipped = clipped_law(r[:, None], advantage, log_ratio, CLIP, prompt, old)
    free = clipped_law(r[:, None], advantage, log_ratio, (1.0, float("inf"), None), prompt, old)
    assert round(clipped.estimate.item(), 4) == -0.0094
    assert round(free.estimate.item(), 3) == 0.240


def _tuples(completions: int) -> tuple[Tensor, ...]:
    """Every K-tuple of a 3-arm prompt as a prompt of its own, with its probability."""
    old = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    log_ratio = torch.tensor([0.15, -0.5, 0.1], dtype=torch.float64)
    log_ratio = log_ratio - (old @ log_ratio.exp()).log()
    rewards = torch.tensor([[1.0, 0], [3, 1], [0, 2]], dtype=torch.float64)
    advantage = torch.tensor([1.0, -2.0, 0.8], dtype=torch.float64)
    rows = torch.tensor(list(product(range(3), repeat=completions)))
    prompt = torch.arange(len(rows)).repeat_interleave(completions)
    return old, log_ratio, rewards, advantage, rows, prompt


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("completions", [3, 4, 5])
def test_the_estimate_is_unbiased(completions: int, centred: bool) -> None:
    """Its mean over all K-tuples is the law itself, by enumeration."""
    old, log_ratio, rewards, advantage, rows, prompt = _tuples(completions)
    one = torch.zeros(3, dtype=torch.int64)
    exact = clipped_law(rewards, advantage, log_ratio, CLIP, one, old, centred=centred)
    flat = rows.flatten()
    mean = clipped_law(
        rewards[flat],
        advantage[flat],
        log_ratio[flat],
        CLIP,
        prompt,
        prompt_mass=old[rows].prod(1),
        centred=centred,
    )
    error = rounding(4 * 3 * 2.0, 3 * completions + len(rows) + 16)
    assert ((mean.estimate - exact.estimate).abs() <= error).all()


@pytest.mark.parametrize("completions", [2, 3, 5])
def test_the_plug_in_product_is_biased_by_the_third_cumulant(completions: int) -> None:
    """Without its last term the estimate errs by −κ(r, ρ, W)/K; at K = 2 it always does."""
    old, log_ratio, rewards, advantage, rows, prompt = _tuples(completions)
    flat, ratio = rows.flatten(), log_ratio.exp()
    weight = effective_weight(advantage, log_ratio, None, *CLIP)
    centre = [f - old @ f for f in (rewards, ratio, weight)]
    cumulant = old @ (centre[0] * (centre[1] * centre[2])[:, None])
    groups = group_by_prompt(prompt)
    share = groups.spread(1 / groups.counts.to(torch.float64))
    mean = groups.spread(groups.sum(share * weight[flat]))
    naive = weight[flat] - mean * ratio[flat]
    if completions == 2:
        naive = centred_weight(weight[flat], ratio[flat], groups, None)
    got = within_prompt_covariance(rewards[flat], naive, prompt, None, old[rows].prod(1)).estimate
    one = torch.zeros(3, dtype=torch.int64)
    exact = clipped_law(rewards, advantage, log_ratio, CLIP, one, old).estimate
    error = rounding(4 * 3 * 2.0, 3 * completions + len(rows) + 16)
    assert ((got - exact + cumulant / completions).abs() <= error).all()
    assert (cumulant.abs() / completions > 100 * error).all()


def test_samples_carry_a_standard_error_by_prompt() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    advantage, log_ratio = torch.randn(2, 40, generator=generator, dtype=torch.float64) / 3
    prompt = torch.arange(10).repeat_interleave(4)
    whole = clipped_law(rewards, advantage, log_ratio, CLIP, prompt)
    spread = whole.per_prompt.std(0) / 10**0.5
    assert torch.allclose(whole.standard_error, spread, rtol=1e-12, atol=0)

"""T13: how far plain gradients can stray from the covariance, by the spread of the score kernel.

|⟨g_j, g_s⟩ − (k_max + k_min)/2·Cov| ≤ (k_max − k_min)/2·sd(r_j)·sd(s), attained. Hence the signs
agree if |corr(r_j, s)| > (κ − 1)/(κ + 1), κ = k_max/k_min; with three completions or more some
(r, s) below that threshold disagree.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.kernel_spectrum import (
    KernelSpectrum,
    extremal_pair,
    score_kernel_spectrum,
    sign_threshold,
    wielandt_bound,
    wielandt_centre,
)
from covlaw.theory.rounding import rounding
from covlaw.theory.statements.base import NegativeControl, Proof, Sides, Statement, joined
from covlaw.theory.statements.random_instances import random_score
from covlaw.theory.statements.support.gradient_pairs import Pairs, has_small_kernel, measure
from covlaw.theory.statements.support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.worlds import World

Part = tuple[Tensor, Tensor, Tensor]

BELOW = 0.99
"""Fraction of the threshold at which a flip is constructed."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The bound and certified signs for given and adversarial pairs; a flip below the threshold."""
    score = random_score(world, rng)
    if not has_small_kernel(world):
        return _nothing()
    spectrum = score_kernel_spectrum(world)
    pairs = measure(world, *_candidates(world, spectrum, score, rng))
    parts = [_spread(spectrum, pairs), _certified(spectrum, pairs)]
    parts += _flip(world, spectrum) if spectrum.modes.shape[1] > 1 else []
    parts += _interlacing(world, spectrum) if world.tabular else []
    return joined(parts)


def false_sides(world: World, rng: np.random.Generator) -> Sides:
    """Two false variants: kernels without D(x), and a threshold just below the sharp one."""
    lower = [smaller_threshold_sides(world)] if has_small_kernel(world) else []
    parts = [without_prompt_mass_sides(world, rng), *lower]
    return joined([side[:3] for side in parts])


def without_prompt_mass_sides(world: World, rng: np.random.Generator) -> Sides:
    """Every prompt's own kernel, without its share D(x) of the gradient."""
    score = random_score(world, rng)
    if not has_small_kernel(world):
        return _nothing()
    spectrum = score_kernel_spectrum(world)
    pairs = measure(world, *_candidates(world, spectrum, score, rng))
    even = score_kernel_spectrum(replace(world, prompt_mass=None))
    alone = even._replace(eigenvalues=even.eigenvalues * len(torch.unique(world.prompt)))
    return joined([_spread(alone, pairs), _certified(alone, pairs)])


def smaller_threshold_sides(world: World) -> Sides:
    """Signs certified by a threshold 1 % too small."""
    spectrum = score_kernel_spectrum(world)
    if spectrum.modes.shape[1] < 2:
        return _nothing()
    r, s = extremal_pair(spectrum, -BELOW * float(sign_threshold(spectrum)))
    pair = measure(world, r[:, None], s[:, None])
    return Sides(pair.alignment, torch.zeros_like(pair.alignment), pair.error)


def _nothing() -> Sides:
    return Sides(*(torch.empty(0, dtype=torch.float64),) * 3)


def _candidates(
    world: World, spectrum: KernelSpectrum, score: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The world's rewards with a random score, and pairs that attain the bound."""
    pairs = [(r, score) for r in world.rewards.T]
    if spectrum.modes.shape[1] > 1:
        pairs += [extremal_pair(spectrum, float(c)) for c in (*rng.uniform(-1, 1, size=2), 0.0)]
    rewards, scores = zip(*pairs, strict=True)
    return torch.stack(rewards, 1), torch.stack(scores, 1)


def _spread(spectrum: KernelSpectrum, pairs: Pairs) -> Part:
    distance = (pairs.alignment - wielandt_centre(spectrum, pairs.covariance)).abs()
    return distance, wielandt_bound(spectrum, pairs.sd_reward, pairs.sd_score), pairs.error


def _certified(spectrum: KernelSpectrum, pairs: Pairs) -> Part:
    """As a bound: an alignment on the wrong side of 0 measures more than 0."""
    margin = rounding(pairs.size, 64 * len(spectrum.modes))
    limit = sign_threshold(spectrum) * pairs.sd_reward * pairs.sd_score
    certified = pairs.covariance.abs() > limit + margin
    wrong = (-pairs.alignment * pairs.covariance.sign())[certified]
    return wrong, torch.zeros_like(wrong), pairs.error[certified]


def _flip(world: World, spectrum: KernelSpectrum) -> list[Part]:
    """Just below the threshold: a negative covariance, yet at least half the forecast alignment."""
    threshold = sign_threshold(spectrum)
    r, s = extremal_pair(spectrum, -BELOW * float(threshold))
    pair = measure(world, r[:, None], s[:, None])
    forecast = wielandt_centre(spectrum, threshold) * (1 - BELOW)
    negative = (pair.covariance, -BELOW * threshold[None] / 2, rounding(pair.size, 64 * len(r)))
    return [negative, (forecast[None] / 2, pair.alignment, pair.error)]


def _interlacing(world: World, spectrum: KernelSpectrum) -> list[Part]:
    """One free logit a completion: min D·π ≤ k_min and k_max ≤ max D·π, so κ ≤ their ratio."""
    weight = world.row_weight()
    weight = weight[weight > 0]
    error = rounding(weight.max(), 8 * len(spectrum.modes) + world.depth)[None]
    low = (weight.min()[None], spectrum.smallest[None], error)
    return [low, (spectrum.largest[None], weight.max()[None], error)]


@cache
def proofs() -> list[Proof]:
    """The bound; two arms; and three arms with a tie, where the threshold is met exactly."""
    from covlaw.theory.statements.support import symbolic_spectrum as symbolic

    return [
        Proof(
            "((k_max−k_min)/2)² − (k − centre)² = (k_max−k)(k−k_min)", symbolic.spread_residual()
        ),
        Proof("2 arms: ⟨g_r, g_s⟩ − 2p(1−p)·Cov = 0: threshold 0", symbolic.two_arm_residual()),
        Proof("π = (1−2q, q, q): both modes of K", symbolic.three_arm_mode_residuals()),
        Proof("… ⟨g_r, g_s⟩ = 0 at corr = −(κ−1)/(κ+1)", symbolic.three_arm_threshold_residual()),
    ]


STATEMENT = Statement(
    id="T13",
    title="Plain gradients follow the covariance up to the spread of the score kernel",
    kind="bound",
    explanation="Plain gradient ascent does not move every advantage pattern equally: K, made of "
    "inner products of the scores ∇log π, stretches some by k_max and others by only k_min. If the "
    "ratio κ = k_max/k_min is near 1, the gradient of the training score s changes a reward r_j as "
    "Cov(r_j, s) says; if κ is large, only rewards strongly correlated with s are sure to move the "
    "right way. K depends on the architecture and the policy, so κ says how far the law can be "
    "trusted for a given model without a natural gradient.",
    formula="|⟨g_j, g_s⟩ − (k_max + k_min)/2·Cov| ≤ (k_max − k_min)/2·sd(r_j)·sd(s);"
    " |corr(r_j, s)| > (κ − 1)/(κ + 1) ⇒ sign⟨g_j, g_s⟩ = sign Cov; sharp for n ≥ 3 completions",
    latex=r"\Big|\langle g_j,g_s\rangle-\tfrac{k_{\max}+k_{\min}}2\mathrm{Cov}\Big|\le"
    r"\tfrac{k_{\max}-k_{\min}}2\,\mathrm{sd}(r_j)\,\mathrm{sd}(s),\quad"
    r"|\mathrm{corr}|>\frac{\kappa-1}{\kappa+1}\Rightarrow\text{signs agree}",
    assumptions=(
        "K on L²₀(π), the signals of mean 0 in every prompt, with D(x) in its inner product",
        "several prompts of a tabular softmax: eigenvalues D(x)·k_x",
        "sharpness: two modes at least",
        "at most 600 completions (the Jacobian is formed)",
    ),
    source="ours; the inequality is Wielandt's (Horn & Johnson 2013, §7.4)",
    needs=World,
    sides=sides,
    control=NegativeControl(
        "kernels without the prompts' shares D(x), or a threshold 1 % smaller", false_sides
    ),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    proofs=proofs,
)

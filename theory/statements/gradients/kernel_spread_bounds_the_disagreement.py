"""T13: how far plain gradients can stray from the covariance, by the spread of the score kernel.

|⟨g_j, g_s⟩ − (k_max + k_min)/2·Cov| ≤ (k_max − k_min)/2·sd(r_j)·sd(s), attained. Hence signs agree
if |corr(r_j, s)| > (κ − 1)/(κ + 1), κ = k_max/k_min, and with three completions or more below that
some disagree. For one score s the threshold is sin φ, φ its angle with K s.
"""

from functools import cache

import numpy as np

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.gradient_angle import score_threshold
from covlaw.theory.geometry.kernel_spectrum import (
    KernelSpectrum,
    extremal_pair,
    score_kernel_spectrum,
    sign_threshold,
    wielandt_bound,
    wielandt_centre,
)
from covlaw.theory.statements._support.gradient_rounding import is_dense
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements.base import (
    NOTHING,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.gradients._gradient_pairs import (
    Pairs,
    attaining_pairs,
    certified_signs,
    has_choice,
    interlacing,
    measure,
)
from covlaw.theory.worlds.world import World

BELOW = 0.99
"""Fraction of the threshold at which a flip is constructed."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The score's own threshold; and, on small worlds, bound, signs and flips by the spectrum."""
    score = random_score(world, rng)
    if not has_choice(world):
        return joined([NOTHING])
    own = measure(world, world.rewards, score[:, None].expand_as(world.rewards))
    parts = [certified_signs(own, score_threshold(world, score), len(score))]
    if is_dense(world):
        spectrum = score_kernel_spectrum(world)
        pairs = measure(world, *attaining_pairs(spectrum, rng))
        parts += [part for p in (own, pairs) for part in _bounded(spectrum, p)]
        parts += [*_flip(world, spectrum), *interlacing(world, spectrum)]
    return joined(parts)


def lower_threshold_sides(world: World, _: np.random.Generator) -> Sides:
    """The false variant: a threshold 1 % below the sharp one."""
    if not (has_choice(world) and is_dense(world)):
        return joined([NOTHING])
    pairs = _below(world, score_kernel_spectrum(world))
    return joined([NOTHING, *((p.alignment, 0 * p.alignment, p.error) for p in pairs)])


def _bounded(spectrum: KernelSpectrum, pairs: Pairs) -> list[Part]:
    distance = (pairs.alignment - wielandt_centre(spectrum, pairs.covariance)).abs()
    spread = (distance, wielandt_bound(spectrum, pairs.sd_reward, pairs.sd_score), pairs.error)
    return [spread, certified_signs(pairs, sign_threshold(spectrum), len(spectrum.modes))]


def _below(world: World, spectrum: KernelSpectrum) -> list[Pairs]:
    """The pair of negative correlation just below the threshold, if there are two modes."""
    if spectrum.modes.shape[1] < 2:
        return []
    r, s = extremal_pair(spectrum, -BELOW * float(sign_threshold(spectrum)))
    return [measure(world, r[:, None], s[:, None])]


def _flip(world: World, spectrum: KernelSpectrum) -> list[Part]:
    """There the covariance is negative, yet the alignment at least half its positive forecast."""
    threshold, parts = sign_threshold(spectrum)[None], []
    forecast = wielandt_centre(spectrum, threshold) * (1 - BELOW)
    for pair in _below(world, spectrum):
        rounded = rounding(pair.size, 64 * len(spectrum.modes))
        parts.append((pair.covariance, -BELOW * threshold / 2, rounded))
        parts.append((forecast / 2, pair.alignment, pair.error))
    return parts


@cache
def proofs() -> list[Proof]:
    """Symbolic ones, of the bound and of both thresholds."""
    from covlaw.theory.statements.gradients._symbolic_spectrum import spectrum_proofs

    return spectrum_proofs()


STATEMENT = Statement(
    id="T13",
    title="Plain gradients follow the covariance up to the spread of the score kernel",
    kind="bound",
    explanation="Plain gradient ascent does not move every advantage pattern equally: K, made of "
    "inner products of the scores ∇log π, stretches some by k_max and others by only k_min. If "
    "the ratio κ = k_max/k_min is near 1, the gradient of the training score s changes a reward "
    "r_j as Cov(r_j, s) says; if κ is large, only rewards strongly correlated with s are sure to "
    "move the right way; a single score has its own, lower threshold sin φ. K depends on the "
    "architecture and the policy, so κ says how far the law can be trusted for a given model "
    "without a natural gradient.",
    formula="|⟨g_j, g_s⟩ − (k_max + k_min)/2·Cov| ≤ (k_max − k_min)/2·sd(r_j)·sd(s);"
    " |corr(r_j, s)| > (κ − 1)/(κ + 1) ⇒ sign⟨g_j, g_s⟩ = sign Cov; sharp for n ≥ 3 completions;"
    " for one s: |corr(r_j, s)| > sin φ, φ = angle(A_s, K A_s)",
    latex=r"\Big|\langle g_j,g_s\rangle-\tfrac{k_{\max}+k_{\min}}2\mathrm{Cov}\Big|\le"
    r"\tfrac{k_{\max}-k_{\min}}2\,\mathrm{sd}(r_j)\,\mathrm{sd}(s),\quad"
    r"|\mathrm{corr}|>\frac{\kappa-1}{\kappa+1}\Rightarrow\text{signs agree}",
    assumptions=(
        "K on L²₀(π), the signals of mean 0 in every prompt, with D(x) in its inner product, so "
        "that a tabular softmax has eigenvalues D(x)·k_x; sharpness: two modes at least",
        "the spectrum on at most 600 completions (the Jacobian is formed); sin φ on any world",
    ),
    source="ours; the inequality is Wielandt's (Horn & Johnson 2013, §7.4)",
    needs=World,
    sides=sides,
    control=NegativeControl("a threshold 1 % smaller", lower_threshold_sides),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    proofs=proofs,
)

"""T51: GSPO's W = s·A·1[not clipped]/L, s = ρ^{1/L}; on policy its law is Cov(r_j, A/L).

π = (1/4, 1/4, 1/2), L = (4, 4, 1), r = (0, 1, 0), s = (0, 1, 1): Cov(r, s) = +1/16, but with
A = s − E s GSPO moves r by Cov(r, A/L) = −1/128.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses.gspo import GSPO
from covlaw.theory.statements._support.inapplicable import TOKEN_LEVEL
from covlaw.theory.statements._support.random_instances import nearby, random_score
from covlaw.theory.statements._support.token_losses import (
    loss_ascent,
    natural_slope,
    natural_slope_rounding,
)
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.token_tree import TokenTree

DIRECTIONS = 3
"""Random directions along which the two gradients are compared."""


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """Autograd of the loss against W, the natural slope on policy, and a tilt that is not cut."""
    advantage = centred_score(tree.world, random_score(tree.world, rng))
    parts = [_gradient(tree, advantage, 1 / tree.lengths, rng)]
    if tree.tabular:
        parts.append(_on_policy(tree, advantage))
    return joined([*parts, _uncut(tree, advantage, rng)])


def undivided(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: W = s·A·1, as if the clipped ratio were the completion's own."""
    advantage = centred_score(tree.world, random_score(tree.world, rng))
    return joined([_gradient(tree, advantage, torch.ones_like(tree.lengths), rng)])


def no_clip_strength(tree: TokenTree, loss: GSPO) -> float:
    """η·range(a) up to which a tilt leaves every completion unclipped: L_min·min of the ranges."""
    dual = np.inf if loss.dual_clip is None else np.log(loss.dual_clip)
    ends = np.log1p(loss.clip_high), -np.log1p(-loss.clip_low), dual
    return float(tree.lengths.min()) * float(min(ends))


def _gradient(tree: TokenTree, advantage: Tensor, factor: Tensor, rng: np.random.Generator) -> Part:
    """⟨−∇loss, v⟩ at π_θ against E_old[s·A·1·factor·⟨∇log π_θ, v⟩], s and 1 in NumPy."""
    world = tree.world
    theta = nearby(world, rng, float(10 ** rng.uniform(-2, 0.3)))
    ratio = np.exp((world.log_prob_at(theta) - world.log_prob_at()).numpy() / tree.lengths.numpy())
    loss = _drawn(ratio, rng)
    ascent = loss_ascent(tree, advantage, loss, theta)
    kept = torch.as_tensor(np.where(_inside(advantage.numpy(), ratio, loss), ratio, 0.0))
    weight = world.row_weight() * kept * advantage * factor
    size, rows = ascent.shape[0], len(advantage)
    v = torch.as_tensor(rng.normal(size=(DIRECTIONS, size)))
    slopes = torch.stack([world.directional(row, theta) for row in v])
    # as T24's: a slope is a sum of D products, about √D times the steepest for a normal direction
    length = tree.choice.shape[1]
    log_size = float(world.log_prob_at().abs().max() + world.log_prob_at(theta).abs().max())
    magnitude = size**0.5 * length * (weight.abs().sum() * slopes.abs().max() + weight.abs().sum())
    error = rounding(magnitude, 8 * (world.depth + size + rows + length + int(log_size)))
    return v @ ascent, slopes @ weight, error.expand(DIRECTIONS)


def _drawn(ratio: np.ndarray, rng: np.random.Generator) -> GSPO:
    """Ranges on the scale of the completions' own s, half of the time with dual clip."""
    down, up = (max(float(side), 1e-12) for side in (1 - ratio.min(), ratio.max() - 1))
    low, high, dual = rng.uniform(0.1, 1.2, size=3) * (down, up, up)
    return GSPO(min(low, 1.0), high, 1 + dual if rng.integers(2) else None)


def _inside(advantage: np.ndarray, ratio: np.ndarray, loss: GSPO) -> np.ndarray:
    ceiling = np.inf if loss.dual_clip is None else loss.dual_clip
    rising = (advantage >= 0) & (ratio <= 1 + loss.clip_high)
    falling = (advantage < 0) & (ratio >= 1 - loss.clip_low) & (ratio <= ceiling)
    return rising | falling


def _on_policy(tree: TokenTree, advantage: Tensor) -> Part:
    """Natural gradient of the loss at π_old, one free logit a choice, against Cov(r_j, A/L)."""
    world = tree.world
    score = advantage / tree.lengths
    law = within_prompt_covariance(world.rewards, score, *world.rollouts().groups).estimate
    slope = natural_slope(tree, loss_ascent(tree, advantage, GSPO()))
    return slope, law, natural_slope_rounding(tree, advantage.abs().max())


def _uncut(tree: TokenTree, advantage: Tensor, rng: np.random.Generator) -> Part:
    """W with the range against W without, at the end of the longest tilt that is not cut."""
    world, loss = tree.world, GSPO(*rng.uniform(1e-4, 0.3, size=2))
    groups, radius = group_by_prompt(world.prompt), no_clip_strength(tree, loss)
    extent = groups.span(advantage)
    inside = radius - float(rounding(1 + radius, 64))  # the computed log ρ must not round outwards
    eta = torch.where(extent > 0, inside / torch.where(extent > 0, extent, 1.0), 0.0)
    signal = groups.spread(eta) * advantage
    mass = world.log_prob_at().exp()
    log_ratio = tilt_log_ratio(signal, 1.0, world.prompt, mass)
    tokens = torch.where(tree.mask, (log_ratio / tree.lengths)[:, None], 0.0)
    free = GSPO(1.0, float("inf"))
    weights = [each.weight(advantage, tokens, tree.mask) for each in (loss, free)]
    # both are s·A/L itself where nothing is cut: they round alike, so no tolerance
    return weights[0], weights[1], torch.zeros_like(weights[0])


STATEMENT = Statement(
    id="T51",
    title="GSPO carries lengths into the law: its weight is s·A/L",
    kind="identity",
    explanation="GSPO clips one number a completion, s = ρ^{1/L}, the geometric mean of its token "
    "ratios. A token's log-probability moves s by only 1/L, so that the loss's gradient weighs a "
    "completion by s·A/L: short completions count more, as under every loss that divides by length "
    "(T18), and an objective whose covariance with the score is positive can fall. Nothing is "
    "clipped until the policy has been tilted by the shortest length times the width of the range, "
    "which is why ranges are a thousand times narrower than PPO's.",
    formula="∇L = E_old[W ∇log π_θ], W = s·A·1[not clipped]/L, s = ρ^{1/L}; on policy"
    " dJ_j = Cov(r_j, A/L); nothing is clipped while"
    " η·range(a) ≤ L_min·min{log(1+ε_high), −log(1−ε_low), log c}",
    latex=r"W=\frac{s\,A\,\mathbf 1}{L},\quad s=\rho^{1/L};\quad dJ_j=\mathrm{Cov}\big(r_j,"
    r"\tfrac AL\big);\quad\eta\,\mathrm{range}(a)\le L_{\min}\min\{\log(1+\varepsilon_+),"
    r"-\log(1-\varepsilon_-),\log c\}",
    assumptions=(
        "mean over completions; one advantage a completion, from π_old",
        "no completion sits exactly on a clip bound",
        "the covariance itself: natural gradient, one free logit a (context, token)",
    ),
    source="ours; the loss: Zheng et al. 2025, arXiv:2507.18071",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl("the clipped ratio without its 1/L: W = s·A·1", undivided),
    not_applicable=TOKEN_LEVEL,
)

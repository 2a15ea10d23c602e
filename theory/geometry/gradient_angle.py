"""The angle between a score and its plain gradient's field: how often signs differ (T13)."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.geometry.kernel_spectrum import KernelSpectrum
from covlaw.theory.worlds.world import World


def score_threshold(world: World, score: Tensor) -> Tensor:
    """Sine of the angle between A_s and its gradient field K A_s in L²(π): (), in [0, 1] (T13).

    The threshold for one score: |corr(r, s)| above it ⇒ the plain gradient of s moves r as the
    covariance says, and below it some r of that correlation is moved the other way. Its maximum
    over s is `sign_threshold` (Kantorovich). Worlds of any size.

    Args:
        world: The policy.
        score: (N,) s.
    """
    weight, centred, field = _field(world, score)
    square, size = weight @ centred.square(), (weight @ field.square()).sqrt()
    along = (weight @ (centred * field)) / torch.where(square > 0, square, 1.0)
    rest = (weight @ (field - along * centred).square()).sqrt()
    return torch.where(size > 0, rest / torch.where(size > 0, size, 1.0), 1.0)


def disagreement_probability(world: World, score: Tensor) -> Tensor:
    """Share of rewards that the plain gradient of s moves against the covariance: (), in [0, 1].

    Exact for rewards drawn independently from N(0, 1), one a completion: with w = D(x)·π(y|x),
    ⟨g_r, g_s⟩ = Σ w·r·K A_s and Cov(r, s) = Σ w·r·A_s are jointly normal, so that their signs
    differ with probability angle(w∘A_s, w∘K A_s)/π. Worlds of any size.

    Args:
        world: The policy.
        score: (N,) s; not constant within every prompt.
    """
    weight, centred, field = _field(world, score)
    first, second = (x / x.norm() for x in (weight * centred, weight * field))
    # 2·atan2 of the half-angle: no digits lost where the two are nearly parallel
    return 2 * torch.atan2((first - second).norm(), (first + second).norm()) / torch.pi


def disagreement_by_spectrum(spectrum: KernelSpectrum) -> Tensor:
    """Evaluate arccos(mean k / root mean square k)/π: (), opposed signs by eigenvalues alone.

    For scores and rewards with no preferred direction in L²₀(π), and for no others: independent
    numbers a completion are opposed 7 to 22 points less often on the recorded models
    (`disagreement_of_family` has those). The cosine of the angle between A_s and K A_s,
    s'Ks/(|s||Ks|), concentrates at tr K/√(n·tr K²) as the number n of modes grows, and such a
    reward is moved against the covariance with probability angle/π. 0 for equal eigenvalues, near
    1/2 when one of many dominates.
    """
    k = spectrum.eigenvalues / spectrum.largest
    mean = k.mean()
    spread = (k - mean).square().mean().sqrt()
    return torch.atan2(spread, mean) / torch.pi


def disagreement_of_family(
    covariance: Tensor, gramian: Tensor, draws: int = 4096, seed: int = 0
) -> Tensor:
    """Share of pairs of one family of rewards that plain gradients move against Cov: ().

    r = Σ_k a_k f_k and s = Σ_k b_k f_k with independent a, b ~ N(0, I): given b, Cov(r, s) = a'Cb
    and ⟨g_r, g_s⟩ = a'Gb are jointly normal, of opposite signs with probability angle(Cb, Gb)/π;
    its mean over b is taken over `draws` of them (standard error at most 1/(2√draws)). Only C and
    G are needed, no reward and no score: f = one-hot gives `tables` of independent numbers, f =
    the kernel's modes a family without preferred direction (`disagreement_by_spectrum`), f = a
    task's own objectives what their mixtures do.

    Args:
        covariance: (n, n) C_kl = E_x Cov_x(f_k, f_l).
        gramian: (n, n) G_kl = ⟨∇J_k, ∇J_l⟩ of the same f.
        draws: How many b.
        seed: Of the draws.
    """
    normal = np.random.default_rng(seed).normal(size=(len(covariance), draws))
    weights = torch.as_tensor(normal).to(covariance)
    first, second = (x / x.norm(dim=0) for x in (covariance @ weights, gramian @ weights))
    angle = 2 * torch.atan2((first - second).norm(dim=0), (first + second).norm(dim=0))
    return angle.mean() / torch.pi


def _field(world: World, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """D·π, A_s and K A_s = ⟨∇log π, ∇J_s⟩, (N,) each: two passes, none where scores are known."""
    weight = world.row_weight()
    centred = group_by_prompt(world.prompt).centre(score, world.log_prob_at().exp())
    if "scores" in world.cache:
        scores = world.scores()
        return weight, centred, scores @ (scores.T @ (weight * centred))
    return weight, centred, world.directional(world.score_sum(weight * centred))

"""Clipping token by token: the weight it leaves on each choice (T29)."""

from torch import Tensor

from covlaw.theory.losses.clipping import Clip, unclipped
from covlaw.theory.worlds.token_law import TokenValues, choice_mean, token_covariance
from covlaw.theory.worlds.token_tree import TokenTree


def clipped_token_weight(
    tree: TokenTree, advantage: Tensor, log_policy: Tensor, clip: Clip
) -> Tensor:
    """w̄(h, a) = E_old[A·1[not clipped](A, ρ_t)|h, a]: (E,).

    All completions through a choice share its token ratio ρ_t; their advantages differ, and with
    them the side on which they are clipped. ∇L_clip = E_{h~old} E_{π_θ(.|h)}[w̄ ∇log π_θ] (T29).

    Args:
        tree: π_old.
        advantage: (N,) A of each completion, from π_old.
        log_policy: (E,) log π_θ(a|h).
        clip: `(clip_low, clip_high, dual_clip)`.
    """
    old = tree.log_policy()
    log_ratio, a = tree.along(log_policy - old), advantage[:, None]
    kept = a * unclipped(a, log_ratio, *clip)
    return choice_mean(tree, kept[..., None], old)[:, 0]


def clipped_natural_law(values: TokenValues, weight: Tensor, old_visit: Tensor) -> Tensor:
    """Σ_h d_old(h) Cov_{π_θ(.|h)}(Q_j^θ, w̄): (n,), along the natural gradient of L_clip (T29).

    The token tilt along w̄ has d_θ(h) in place of d_old(h); the two can differ in sign.

    Args:
        values: Of the objectives under π_θ.
        weight: (E,) w̄.
        old_visit: (H,) D(x)·d(h) of π_old.
    """
    return token_covariance(values, weight, old_visit)

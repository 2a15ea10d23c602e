"""What a scalarizer may ask for, of every policy of an ensemble at once, exactly."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, Scalarizer
from covlaw.toys.study_ensemble import Ensemble


class Snapshot(NamedTuple):
    """R policies at one moment."""

    theta: Tensor
    """(R, D)."""
    log_choice: Tensor
    """(R, E) log π(a|h)."""
    log_token: Tensor
    """(R, N, T)."""
    mass: Tensor
    """(R, N) π(y|x)."""
    share: Tensor
    """(R, N) D(x)·π(y|x)."""
    values: Tensor
    """(R, M) J_j."""


def snapshot(ensemble: Ensemble, theta: Tensor) -> Snapshot:
    """Evaluate the policies at θ (R, D), without a graph."""
    with torch.no_grad():
        log_choice = ensemble.log_policy(theta)
        log_token = ensemble.along(log_choice)
        mass = log_token.sum(2).exp()
        share = ensemble.prompt_share * mass
        values = (share[..., None] * ensemble.rewards).sum(1)
    return Snapshot(theta.detach().clone(), log_choice, log_token, mass, share, values)


def centred_rewards(ensemble: Ensemble, now: Snapshot) -> Tensor:
    """A_j = r_j − E_x r_j: (R, N, M)."""
    mean = [ensemble.prompt_mean(r, now.mass) for r in ensemble.rewards.unbind(2)]
    return ensemble.rewards - torch.stack(mean, 2)


def gramians(ensemble: Ensemble, now: Snapshot) -> Tensor:
    """⟨∇J_j, ∇J_k⟩ of every policy: (R, M, M)."""
    theta = now.theta.clone().requires_grad_()
    log_prob = ensemble.along(ensemble.log_policy(theta)).sum(2)
    weight = now.share[..., None] * centred_rewards(ensemble, now)
    each = (torch.autograd.grad(log_prob, theta, w, retain_graph=True)[0] for w in weight.unbind(2))
    gradients = torch.stack(list(each), 1)
    return gradients @ gradients.mT


def batches(
    ensemble: Ensemble, scalarizers: Sequence[Scalarizer[Any]], now: Snapshot, start: Snapshot
) -> list[Batch]:
    """Build what each scalarizer is given before the step; the reference policy is the start."""
    asked = frozenset[str]().union(*(s.before for s in scalarizers))
    world = ensemble.tree.world
    gramian = gramians(ensemble, now) if "gramian" in asked else None
    ratio = now.log_token - start.log_token
    rows = zip(ensemble.rewards_of_runs, now.mass.unbind(), scalarizers, strict=True)
    return [
        Batch(
            rewards,
            world.prompt,
            mass,
            world.prompt_mass,
            gramian[r] if gramian is not None and "gramian" in s.before else None,
            ratio[r] if "log_ratio_to_reference" in s.before else None,
            ensemble.mask if "mask" in s.before else None,
        )
        for r, (rewards, mass, s) in enumerate(rows)
    ]


NOTHING = Observation()


class Aftermath(NamedTuple):
    """What one step did."""

    old: Snapshot
    new: Snapshot
    weight: Tensor
    """(R, N) effective weight W of the step's last policy."""


def observations(
    ensemble: Ensemble, scalarizers: Sequence[Scalarizer[Any]], after: Aftermath
) -> list[Observation]:
    """What each scalarizer sees after the step: exact values and covariances.

    `covariance` is Cov_old(r_j, W). `losses` are the shortfalls from the best attainable values,
    > 0, or with a reference implementation (`reference=True`) its policy-gradient losses
    −E_old[ρ·A_j], A_j standardised, of either sign.
    """
    old, new = after.old, after.new
    gap = centred_rewards(ensemble, old)
    covariance = ((old.share * after.weight)[..., None] * gap).sum(1)
    ceiling = ensemble.attainable().ceiling
    shortfall = torch.maximum(ceiling - new.values, rounding(ceiling, gap.shape[1]))
    spread = (old.share[..., None] * gap.square()).sum(1).sqrt()
    change = old.values - new.values
    surrogate = torch.where(spread > 0, change / torch.where(spread > 0, spread, 1.0), 0.0)
    return [
        Observation(
            covariance[r] if "covariance" in s.after else None,
            new.values[r] if "values" in s.after else None,
            (surrogate if getattr(s, "reference", False) else shortfall)[r]
            if "losses" in s.after
            else None,
        )
        if s.after
        else NOTHING
        for r, s in enumerate(scalarizers)
    ]

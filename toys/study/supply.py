"""What a scalarizer may ask for, of every policy of an ensemble at once, exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation
from covlaw.toys.study.ensemble import PolicyEnsemble, Rows


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
    gap: Tensor
    """(R, N, M) A_j = r_j − E_x r_j."""


def snapshot(ensemble: PolicyEnsemble, theta: Tensor) -> Snapshot:
    """Evaluate the policies at θ (R, D), without a graph."""
    with torch.no_grad():
        log_choice = ensemble.log_policy(theta)
        return seen_at(ensemble, theta, log_choice, ensemble.along(log_choice))


def seen_at(
    ensemble: PolicyEnsemble, theta: Tensor, log_choice: Tensor, log_token: Tensor
) -> Snapshot:
    """The same from log-probs that are known already."""
    mass = log_token.sum(2).exp()
    share = ensemble.prompt_share * mass
    values = (share[:, None] @ ensemble.rewards)[:, 0]
    gap = ensemble.centred(ensemble.rewards, mass)
    return Snapshot(theta.detach().clone(), log_choice, log_token, mass, share, values, gap)


def divergence(ensemble: PolicyEnsemble, now: Snapshot, start: Snapshot) -> Tensor:
    """KL(π_now ‖ π_start), mean over prompts, in nats: (R,)."""
    ratio = (now.log_token - start.log_token).sum(2)
    return (now.share * torch.where(now.share > 0, ratio, 0.0)).sum(1).clamp(min=0.0)


def gradients(ensemble: PolicyEnsemble, theta: Tensor, weight: Tensor) -> Tensor:
    """∇_θ Σ_n weight_nj·log π(y_n|x_n), for each objective j: (R, M, D).

    Args:
        ensemble: R policies.
        theta: (R, D) where.
        weight: (R, N, M), e.g. D(x)·π(y|x)·A_j for ∇J_j.
    """
    with torch.enable_grad():
        at = theta.clone().requires_grad_()
        log_prob = ensemble.along(ensemble.log_policy(at)).sum(2)
        each = (
            torch.autograd.grad(log_prob, at, w, retain_graph=True)[0] for w in weight.unbind(2)
        )
        return torch.stack(list(each), 1)


def gramians(
    ensemble: PolicyEnsemble,
    now: Snapshot,
    rows: Rows = slice(None),
    metric: Tensor | None = None,
) -> Tensor:
    """⟨∇J_j, P∇J_k⟩ of some policies, P diagonal (rows, D) or 1: (R, M, M)."""
    weight = now.share[rows][..., None] * now.gap[rows]
    found = gradients(ensemble, now.theta[rows], weight)
    return (found if metric is None else found * metric[:, None]) @ found.mT


def values_at(ensemble: PolicyEnsemble, theta: Tensor) -> Tensor:
    """J_j at θ (R, D), without a graph: (R, M)."""
    with torch.no_grad():
        mass = ensemble.along(ensemble.log_policy(theta)).sum(2).exp()
        return ((ensemble.prompt_share * mass)[:, None] @ ensemble.rewards)[:, 0]


@dataclass(frozen=True)
class Supply:
    """What is known before a step; the reference policy is the start.

    Args:
        ensemble: R policies.
        now: Before the step.
        start: Before the first one.
        curious: The policies whose Gramian is asked for.
        metric: (R, D) in which their Gramians are taken; None: the plain one.
        sampled: Some policies and the Gramians (rows, M, M) that they are given instead.
    """

    ensemble: PolicyEnsemble
    now: Snapshot
    start: Snapshot
    curious: Tensor
    metric: Tensor | None = None
    sampled: tuple[Tensor, Tensor] | None = None

    def batch(self, rows: Rows, fields: frozenset[str]) -> Batch:
        """The batch of some policies, with the optional fields that are asked for."""
        world = self.ensemble.tree.world
        return Batch(
            self.ensemble.rewards[rows],
            world.prompt,
            self.now.mass[rows],
            world.prompt_mass,
            self._gramian[rows] if "gramian" in fields else None,
            self._ratio[rows] if "log_ratio_to_reference" in fields else None,
            self.ensemble.mask if "mask" in fields else None,
        )

    @cached_property
    def _gramian(self) -> Tensor:
        count = len(self.ensemble.names)
        every = self.now.values.new_full((self.ensemble.runs, count, count), torch.nan)
        rows = self.curious
        if self.sampled is not None:
            known, found = self.sampled
            every[known] = found
            rows = rows[~torch.isin(rows, known)]
        if len(rows):
            metric = None if self.metric is None else self.metric[rows]
            every[rows] = gramians(self.ensemble, self.now, rows, metric)
        return every

    @cached_property
    def _ratio(self) -> Tensor:
        return self.now.log_token - self.start.log_token


@dataclass(frozen=True)
class Aftermath:
    """What one step did.

    Args:
        ensemble: R policies.
        old: Before the step.
        new: After it.
        weight: Gives the effective weights W (R, N) of the step's last policies.
    """

    ensemble: PolicyEnsemble
    old: Snapshot
    new: Snapshot
    weight: Callable[[], Tensor]

    def observation(self, rows: Rows, scalarizer: object, fields: frozenset[str]) -> Observation:
        """What the scalarizer of some policies sees: exact values and covariances.

        `covariance` is Cov_old(r_j, W). `losses` are the shortfalls from the best attainable
        values, > 0, or with a reference implementation (`reference=True`) its policy-gradient
        losses −E_old[ρ·A_j], A_j standardised, of either sign.
        """
        reference = getattr(scalarizer, "reference", False)
        return Observation(
            self._covariance[rows] if "covariance" in fields else None,
            self.new.values[rows] if "values" in fields else None,
            (self._surrogate if reference else self._shortfall)[rows]
            if "losses" in fields
            else None,
        )

    @cached_property
    def _covariance(self) -> Tensor:
        return ((self.old.share * self.weight())[:, None] @ self.old.gap)[:, 0]

    @cached_property
    def _shortfall(self) -> Tensor:
        ceiling = self.ensemble.attainable.ceiling
        return torch.maximum(ceiling - self.new.values, rounding(ceiling, self.old.gap.shape[1]))

    @cached_property
    def _surrogate(self) -> Tensor:
        spread = (self.old.share[:, None] @ self.old.gap.square())[:, 0].sqrt()
        change = self.old.values - self.new.values
        return torch.where(spread > 0, change / torch.where(spread > 0, spread, 1.0), 0.0)

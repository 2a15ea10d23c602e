"""Train an ensemble of enumerated policies, each by its own arm, and watch the law."""

import math
import sys
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.records.alarms import certified_fall
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.clipping import Clip, clipped_surrogate
from covlaw.toys.study.arms import Arm, Arms
from covlaw.toys.study.ensemble import PolicyEnsemble, Rows
from covlaw.toys.study.forecast import law_forecast
from covlaw.toys.study.guarding import Guards
from covlaw.toys.study.supply import Aftermath, Snapshot, Supply, divergence, seen_at

LARGEST = math.log(sys.float_info.max)
"""Largest log-ratio whose exponential is a float64."""


class Course(NamedTuple):
    """What happened to R policies over S steps."""

    values: Tensor
    """(S + 1, R, M) J_j."""
    divergence: Tensor
    """(S + 1, R) KL(π_t ‖ π_0), mean over prompts, in nats."""
    alarms: Tensor
    """(S, R, M) bool: certified Cov_j < 0 before the step."""
    noise: Tensor
    """(R, M) rounding bound of a difference of values."""
    weights: Tensor
    """(R, M) the scalarizer's last weights, NaN where it has none."""
    errors: tuple[str, ...]
    """Why an arm stopped; empty for those that went through."""


def train_ensemble(ensemble: PolicyEnsemble, arms: Sequence[Arm], steps: int, inner: int) -> Course:
    """Run every policy of an ensemble under its own arm.

    Each step: the scalarizer's signal of the exact policy, normalised unless it is an advantage
    already; `inner` optimiser steps on the clipped surrogate E_old[Σ_t min(ρ_t A, clip(ρ_t) A)];
    the arm's guard, on the finished step; then what the scalarizer asked to see. An arm whose
    scalarizer refuses, or whose policy diverges, stops with the reason; the others go on, and none
    changes another's numbers.

    Args:
        ensemble: R policies and their rewards.
        arms: One a policy.
        steps: S batches.
        inner: Optimiser steps a batch.
    """
    trainer = _Trainer(ensemble, arms, inner)
    for _ in range(steps):
        trainer.step()
    return trainer.course()


class _Trainer:
    def __init__(self, ensemble: PolicyEnsemble, arms: Sequence[Arm], inner: int) -> None:
        self.ensemble, self.inner = ensemble, inner
        self.arms = Arms(arms, len(ensemble.names))
        self.parameter = torch.nn.Parameter(ensemble.theta.clone())
        self.optimiser = ensemble.optimiser([self.parameter])
        self.token, seen = self._look()
        self.start = self.now = seen
        guards = [(arm.guard, arm.samples, arm.seed) for arm in arms]
        self.guards = Guards(ensemble, guards, self.optimiser, self.parameter)
        self.values, self.alarms = [seen.values], list[Tensor]()
        self.divergence = [divergence(ensemble, seen, seen)]

    def step(self) -> None:
        """One batch: signal, forecast, inner steps, observation."""
        old, ensemble, arms = self.now, self.ensemble, self.arms
        metric, sampled = self._solver_metric(old), self.guards.gramians(old)
        supply = Supply(ensemble, old, self.start, arms.curious, metric, sampled)
        advantage, tokenwise = arms.advantages(ensemble, supply)
        law = law_forecast(ensemble, old, advantage, tokenwise)
        self.alarms.append(certified_fall(law.covariance, law.bound, z=1.0))
        self.guards.look(old)
        for k in range(self.inner):
            token = ensemble.along(ensemble.log_policy(self.parameter)) if k else self.token
            self._ascend(old, advantage, token)
        self.guards.correct(old, self.start)
        self.token, self.now = self._finite(old)
        weight = partial(self._effective_weight, old, self.now, advantage)
        arms.observe(Aftermath(ensemble, old, self.now, weight))
        self.values.append(self.now.values)
        self.divergence.append(divergence(ensemble, self.now, self.start))

    def course(self) -> Course:
        """What was recorded."""
        ensemble = self.ensemble
        operations = 2 * (ensemble.rewards.shape[1] + ensemble.depth)
        noise = rounding(ensemble.rewards.abs().amax(1), operations)
        values, alarms = torch.stack(self.values), torch.stack(self.alarms)
        moved = torch.stack(self.divergence)
        return Course(values, moved, alarms, noise, self.arms.weights, tuple(self.arms.errors))

    def _solver_metric(self, now: Snapshot) -> Tensor | None:
        """The metric of the Gramians: 1 but for the arms that are given the optimiser's."""
        rows = self.guards.measured
        found = self.guards.metric(now) if len(rows) else None
        if found is None:
            return None
        every = torch.ones_like(found)
        every[rows] = found[rows]
        return every

    def _look(self) -> tuple[Tensor, Snapshot]:
        """Evaluate the policies once: log π of every token with its graph, and without."""
        choice = self.ensemble.log_policy(self.parameter)
        token = self.ensemble.along(choice)
        return token, seen_at(self.ensemble, self.parameter, choice.detach(), token.detach())

    def _ascend(self, old: Snapshot, advantage: Tensor, token: Tensor) -> None:
        self.optimiser.zero_grad()

        def surrogate(rows: Rows, clip: Clip) -> Tensor:
            return clipped_surrogate(advantage[rows], token[rows] - old.log_token[rows], *clip)

        gain = self.arms.by_clip(surrogate, advantage)  # 0 off the tokens, as the advantage
        (old.share[..., None] * gain).sum().backward()
        if self.ensemble.natural and self.parameter.grad is not None:
            share = self.ensemble.prompt_share * token.detach()[:, :, 0].exp()
            self.parameter.grad.div_(torch.where(share > 0, share, 1.0))
        self.guards.bend(self.arms.weights)
        self.optimiser.step()

    def _effective_weight(self, old: Snapshot, new: Snapshot, advantage: Tensor) -> Tensor:
        """W of each completion after the step, (R, N), averaged over its tokens."""
        log_ratio, mask = new.log_token - old.log_token, self.ensemble.mask

        def weight(rows: Rows, clip: Clip) -> Tensor:
            given, moved = advantage[rows].flatten(0, 1), log_ratio[rows]
            tokens = mask.expand_as(moved).flatten(0, 1)
            found = effective_weight(given, moved.flatten(0, 1), tokens, *clip)
            return found.reshape(len(moved), -1)

        return self.arms.by_clip(weight, old.mass)

    def _finite(self, old: Snapshot) -> tuple[Tensor, Snapshot]:
        """Look; stop the arms whose policy diverged, and put it back where it was."""
        token, new = self._look()
        moved = (new.log_token - old.log_token).flatten(1).amax(1)
        bad = ~(torch.isfinite(new.theta).all(1) & (moved <= LARGEST))
        if not bool(bad.any()):
            return token, new
        self.arms.fail(bad.nonzero()[:, 0].tolist(), "the policy diverged: lower the learning rate")
        with torch.no_grad():
            self.parameter[bad] = old.theta[bad]
        return self._look()

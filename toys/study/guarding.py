"""Guards at work: the runs of each guard side by side, before, inside and after a step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.guard import optimiser_metric
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.guards import Guard, check_samples, find_guard
from covlaw.toys.study.memory import Memory
from covlaw.toys.study.observed import Weights, crossed, sampled_gramian
from covlaw.toys.study.projection import conflict_free, projected
from covlaw.toys.study.step_control import Steps, controlled
from covlaw.toys.study.supply import Snapshot, gradients

LEAST = 1e-100
"""Shares of completions below it have died out: no step along the natural gradient revives them."""


class Guarded(NamedTuple):
    """The runs of one guard."""

    guard: Guard
    rows: Tensor
    memory: Memory


class Guards:
    """Everything that guards an ensemble's runs; nothing where none does.

    Args:
        ensemble: R policies.
        guards: Name in `GUARDS`, samples (0: exact) and seed of each run.
        optimiser: Of the parameter.
        parameter: (R, D).
    """

    def __init__(
        self,
        ensemble: PolicyEnsemble,
        guards: Sequence[tuple[str, int, int]],
        optimiser: torch.optim.Optimizer,
        parameter: torch.nn.Parameter,
    ) -> None:
        self.ensemble, self.optimiser, self.parameter = ensemble, optimiser, parameter
        for name, samples in dict.fromkeys(own[:2] for own in guards):
            check_samples(name, samples)
        self.groups = [
            _group(ensemble, guards, name, samples)
            for name, samples in dict.fromkeys(key[:2] for key in guards)
            if find_guard(name) != Guard()
        ]
        self._parts: dict[int, Weights] = {}
        self._moments: dict[int, tuple[Tensor, int]] = {}

    @property
    def measured(self) -> Tensor:
        """The runs whose scalarizer is given its Gramian in the optimiser's metric."""
        rows = [g.rows for g in self.groups if g.guard.place == "solver" and g.guard.metric]
        return torch.cat(rows) if rows else torch.empty(0, dtype=torch.int64)

    def metric(self, now: Snapshot) -> Tensor | None:
        """P (R, D) of the optimiser as it is; None where it is the plain one (or not known yet)."""
        if self.ensemble.natural:
            share = now.share
            return torch.where(share > LEAST, 1 / share.clamp(min=LEAST), 0.0)
        if isinstance(self.optimiser, torch.optim.SGD) or not self.optimiser.state:
            return None
        found = optimiser_metric(self.optimiser, [self.parameter]).values
        return found.to(torch.float64).reshape(self.parameter.shape)

    def look(self, now: Snapshot) -> None:
        """Take the gradients of the policies before the step, all of them in one pass."""
        asking = [group for group in self.groups if group.guard.place not in ("nowhere", "solver")]
        self._take(asking, now)
        for group in asking:
            if group.guard.place == "whitening":
                self._remember(group, self._gradients(group))

    def gramians(self, now: Snapshot) -> tuple[Tensor, Tensor] | None:
        """The runs whose scalarizer is given its Gramian from samples, and those: (rows, M, M)."""
        asking = [group for group in self.groups if group.guard.sampled_gramian]
        if not asking:
            return None
        self._take(asking, now)
        return torch.cat([g.rows for g in asking]), torch.cat(
            [sampled_gramian(self._parts[id(g)], shrunk=g.guard.shrunk) for g in asking]
        )

    def _take(self, asking: Sequence[Guarded], now: Snapshot) -> None:
        """What some guards observe of their policies, as gradients, all of them in one pass."""
        if not asking:
            return
        found = [group.memory.observed(_of(now, group.rows)) for group in asking]
        rows = torch.cat([g.rows for g, own in zip(asking, found, strict=True) for _ in own])
        weights = [weight for own in found for weight in own]
        every = gradients(self.ensemble, now.theta[rows], torch.cat(weights))
        each = iter(every.split([len(w) for w in weights]))
        for group, own in zip(asking, found, strict=True):
            self._parts[id(group)] = tuple(next(each) for _ in own)

    def bend(self, weights: Tensor) -> None:
        """Change the gradients that the optimiser is about to be given (GEM, ConFIG, MAdam).

        Args:
            weights: (R, M) the scalarizers', NaN where they have none: equal ones then.
        """
        gradient = self.parameter.grad
        if gradient is None:
            return
        for group in self.groups:
            if group.guard.place == "gradient":
                given, own = gradient[group.rows], self._gradients(group)
                gradient[group.rows] = projected(
                    given, own, torch.ones_like(given), torch.zeros(())
                ).step
            elif group.guard.place == "direction":
                gradient[group.rows] = conflict_free(self._gradients(group))
            elif group.guard.place == "whitening":
                gradient[group.rows] /= self._curvature(group, weights[group.rows])

    @torch.no_grad()
    def correct(self, old: Snapshot, start: Snapshot) -> None:
        """Change the finished steps, of all guards together."""
        acting = [g for g in self.groups if g.guard.place == "step" or g.guard.control != "none"]
        if not acting:
            return
        rows = torch.cat([group.rows for group in acting])
        before, now = _of(old, rows), self.parameter[rows]
        sound = torch.isfinite(now).all(1)
        step = torch.where(sound[:, None], now - before.theta, 0.0)
        metric = self.metric(old)
        known = [self._known(group, old, metric) for group in acting]
        given, metrics, grams = (torch.cat([own[k] for own in known]) for k in range(3))
        steps = Steps(self.ensemble.rows(rows), before, step, given, metrics, grams)
        each = zip(acting, step.split([len(g.rows) for g in acting]), strict=True)
        floor = torch.cat([_floor(group, old, start, own) for group, own in each])
        if any(group.guard.share for group in acting):
            share = floor.new_tensor([[g.guard.share] for g in acting for _ in g.rows])
            largest = (given @ step[..., None])[..., 0].amax(1, keepdim=True).clamp(min=0.0)
            floor = torch.maximum(floor, share * largest)
        control = [g.guard.control for g in acting for _ in g.rows]
        moved = controlled(steps, floor, control)
        same = (moved == step).all(1) | ~sound
        self.parameter[rows] = torch.where(same[:, None], now, before.theta + moved)
        for group in acting:
            went = self.parameter[group.rows] - old.theta[group.rows]
            group.memory.remember(old.values[group.rows], went)

    def _known(
        self, group: Guarded, old: Snapshot, metric: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A group's gradients (0 where no step is projected), metric and Gramian (NaN: its own)."""
        guard, theta, count = group.guard, old.theta[group.rows], old.values.shape[1]
        own = metric[group.rows] if metric is not None and guard.metric else torch.ones_like(theta)
        gram = torch.full((len(theta), count, count), torch.nan, dtype=theta.dtype)
        if guard.place != "step":
            return torch.zeros_like(theta)[:, None].expand(-1, count, -1), own, gram
        if guard.crossed:
            first, second = self._parts[id(group)]
            gram = crossed(first, second, own)
        found = group.memory.agreeing(self._gradients(group), old.values[group.rows], own)
        return found, own, gram

    def _gradients(self, group: Guarded) -> Tensor:
        """(R, M, D), the mean of those of all parts."""
        parts = self._parts[id(group)]
        return parts[0] if len(parts) == 1 else (parts[0] + parts[1]) / 2

    def _remember(self, group: Guarded, gradients: Tensor) -> None:
        decay = self.optimiser.param_groups[0].get("betas", (0.9, 0.999))[1]
        fresh = gradients[:, :, None] * gradients[:, None]
        mean, count = self._moments.get(id(group), (torch.zeros_like(fresh), 0))
        self._moments[id(group)] = (decay * mean + (1 - decay) * fresh, count + 1)

    def _curvature(self, group: Guarded, weights: Tensor) -> Tensor:
        decay = self.optimiser.param_groups[0].get("betas", (0.9, 0.999))[1]
        mean, count = self._moments[id(group)]
        given = torch.where(torch.isnan(weights), 1 / weights.shape[1], weights)
        square = torch.einsum("rj,rjkd,rk->rd", given, mean / (1 - decay**count), given)
        return square.clamp(min=0.0).sqrt() + 1e-8


def _group(
    ensemble: PolicyEnsemble, guards: Sequence[tuple[str, int, int]], name: str, samples: int
) -> Guarded:
    members = [r for r, own in enumerate(guards) if own[:2] == (name, samples)]
    rows, guard = torch.tensor(members), find_guard(name)
    rngs = [np.random.default_rng([guards[r][2], 2]) for r in members] if samples else []
    return Guarded(guard, rows, Memory(ensemble.rows(rows), guard, samples, rngs))


def _floor(group: Guarded, old: Snapshot, start: Snapshot, step: Tensor) -> Tensor:
    """(rows, M) what a group asks of its steps (rows, D)."""
    now = _of(old, group.rows)
    asked = group.memory.floor(start.values[group.rows], now.values)
    return asked + group.memory.margin(now, step)


def _of(now: Snapshot, rows: Tensor) -> Snapshot:
    return Snapshot(*(field[rows] for field in now))

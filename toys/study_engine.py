"""Train an ensemble of enumerated policies, each by its own scalarizer, and watch the law."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory.alarms import certified_fall
from covlaw.theory.clipping import Clip
from covlaw.theory.errors import CovlawError
from covlaw.theory.losses import clipped_surrogate
from covlaw.theory.rounding import rounding
from covlaw.theory.scalarizers import Scalarizer
from covlaw.toys.study_ensemble import Ensemble
from covlaw.toys.study_forecast import law_forecast
from covlaw.toys.study_signals import SIGNALS
from covlaw.toys.study_supply import Aftermath, Snapshot, batches, observations, snapshot

UNCLIPPED: Clip = (1.0, float("inf"), None)
CLIPPED: Clip = (0.2, 0.2, None)


class Treatment(NamedTuple):
    """How scores become updates."""

    signal: str
    """Name in `study_signals.SIGNALS`."""
    clip: Clip
    steps: int
    """Batches."""
    inner: int
    """Optimiser steps on the clipped surrogate a batch."""


class Course(NamedTuple):
    """What happened to R policies over S steps."""

    values: Tensor
    """(S + 1, R, M) J_j."""
    alarms: Tensor
    """(S, R, M) bool: certified Cov_j < 0 before the step."""
    noise: Tensor
    """(R, M) rounding bound of a difference of values."""
    weights: Tensor
    """(R, M) the scalarizer's last weights, NaN where it has none."""
    errors: tuple[str, ...]
    """Why a run stopped; empty for those that went through."""


def train(
    ensemble: Ensemble, scalarizers: Sequence[Scalarizer[Any]], treatment: Treatment
) -> Course:
    """Run every policy of an ensemble under its own scalarizer.

    Each step: the scalarizer's signal of the exact policy, normalised unless it is an advantage
    already; `inner` optimiser steps on the clipped surrogate E_old[Σ_t min(ρ_t A, clip(ρ_t) A)];
    then what the scalarizer asked to see. A run whose scalarizer refuses, or whose policy
    diverges, stops with the reason; the others go on.

    Args:
        ensemble: R policies and their rewards.
        scalarizers: One a policy.
        treatment: Signal, clip, steps.
    """
    trainer = _Trainer(ensemble, scalarizers, treatment)
    for _ in range(treatment.steps):
        trainer.step()
    return trainer.course()


@dataclass
class _Trainer:
    ensemble: Ensemble
    scalarizers: Sequence[Scalarizer[Any]]
    treatment: Treatment
    values: list[Tensor] = field(default_factory=list)
    alarms: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        ensemble = self.ensemble
        self.parameter = torch.nn.Parameter(ensemble.theta.clone())
        self.optimiser = ensemble.optimiser([self.parameter])
        self.start = self.now = snapshot(ensemble, ensemble.theta)
        self.states: list[Any] = [s.init() for s in self.scalarizers]
        self.errors = [""] * ensemble.runs
        self.weights = torch.full_like(self.now.values, torch.nan)
        self.values.append(self.now.values)

    def step(self) -> None:
        """One batch: signal, forecast, inner steps, observation."""
        old = self.now
        advantage, tokenwise = self._advantages(old)
        law = law_forecast(self.ensemble, old, advantage, tokenwise)
        self.alarms.append(certified_fall(law.covariance, law.bound, z=1.0))
        self._ascend(old, advantage)
        self.now = self._finite(old)
        self._observe(Aftermath(old, self.now, advantage, self.treatment.clip))
        self.values.append(self.now.values)

    def course(self) -> Course:
        """What was recorded."""
        ensemble = self.ensemble
        operations = 2 * (ensemble.rewards.shape[1] + ensemble.depth)
        noise = rounding(ensemble.rewards.abs().amax(1), operations)
        values, alarms = torch.stack(self.values), torch.stack(self.alarms)
        return Course(values, alarms, noise, self.weights, tuple(self.errors))

    def _advantages(self, old: Snapshot) -> tuple[Tensor, list[int]]:
        """Return (R, N, T), 0 off the tokens, and the runs whose tokens differ."""
        ensemble = self.ensemble
        score = torch.zeros_like(old.mass)
        given: dict[int, Tensor] = {}
        for r, batch in enumerate(batches(ensemble, self.scalarizers, old, self.start)):
            if self.errors[r]:
                continue
            try:
                self.states[r], signal = self.scalarizers[r].signal(self.states[r], batch)
            except CovlawError as error:
                self.errors[r] = str(error)
                continue
            if signal.weights is not None:
                self.weights[r] = signal.weights
            score[r] = signal.score
            if signal.advantage is not None:
                given[r] = signal.advantage
        normalised = SIGNALS[self.treatment.signal](ensemble, score, old.mass)
        advantage = normalised[..., None] * ensemble.mask
        for r, own in given.items():
            advantage[r] = (own[:, None] if own.ndim == 1 else own) * ensemble.mask
        return advantage, [r for r, own in given.items() if own.ndim == 2]

    def _ascend(self, old: Snapshot, advantage: Tensor) -> None:
        ensemble, clip = self.ensemble, self.treatment.clip
        for _ in range(self.treatment.inner):
            self.optimiser.zero_grad()
            token = ensemble.along(ensemble.log_policy(self.parameter))
            gain = clipped_surrogate(advantage, token - old.log_token, *clip)
            gain = torch.where(ensemble.mask, gain, 0.0)
            (old.share[..., None] * gain).sum().backward()  # type: ignore[no-untyped-call]
            if ensemble.natural and self.parameter.grad is not None:
                share = ensemble.prompt_share * token.detach()[:, :, 0].exp()
                some = torch.where(share > 0, share, 1.0)
                self.parameter.grad.div_(some)
            self.optimiser.step()

    def _finite(self, old: Snapshot) -> Snapshot:
        """Stop the policies that diverged: back to the start, where they stay out of the way."""
        new = snapshot(self.ensemble, self.parameter)
        ratio = (new.log_token - old.log_token).exp()
        bad = ~(torch.isfinite(new.theta).all(1) & torch.isfinite(ratio).flatten(1).all(1))
        if not bool(bad.any()):
            return new
        for r in bad.nonzero()[:, 0].tolist():
            self.errors[r] = self.errors[r] or "the policy diverged: lower the learning rate"
        with torch.no_grad():
            self.parameter[bad] = old.theta[bad]
        return snapshot(self.ensemble, self.parameter)

    def _observe(self, after: Aftermath) -> None:
        for r, seen in enumerate(observations(self.ensemble, self.scalarizers, after)):
            if self.errors[r]:
                continue
            try:
                self.states[r] = self.scalarizers[r].update(self.states[r], seen)
            except CovlawError as error:
                self.errors[r] = str(error)

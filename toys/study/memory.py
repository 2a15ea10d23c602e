"""What a sampled guard makes of earlier steps: their completions, their changes, their best."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.guards import Guard
from covlaw.toys.study.observed import Weights, drawn, exactly, frequency, places
from covlaw.toys.study.supply import Snapshot

STEPS = 8
"""Earlier steps whose completions are read again, at most."""
CAP = 2.0
"""Largest importance ratio of a completion drawn earlier."""


class Draws(NamedTuple):
    """One step's completions of R runs."""

    share: Tensor
    """(R, N) of its prompt's draws that each completion has."""
    mass: Tensor
    """(R, N) under the policy that drew them."""


class Pool(NamedTuple):
    """Completions of several steps, weighed for the policy as it is."""

    share: Tensor
    """(R, N), 1 over each prompt."""
    square: Tensor
    """(R, N) Σ of the squared weights of the prompt's draws: one over how many they are worth."""


class Memory:
    """Of the runs of one guard.

    Args:
        ensemble: Their policies and rewards.
        guard: What is asked.
        samples: K completions a prompt drawn at each step; 0: exact.
        rngs: Of each run.
    """

    def __init__(
        self,
        ensemble: PolicyEnsemble,
        guard: Guard,
        samples: int,
        rngs: list[np.random.Generator],
    ) -> None:
        self.ensemble, self.guard, self.samples, self.rngs = ensemble, guard, samples, rngs
        self._draws = list[Draws]()
        self._best: Tensor | None = None
        self._steps = list[tuple[Tensor, Tensor]]()

    def observed(self, now: Snapshot) -> Weights:
        """Weights of the objectives' gradients, from all that the guard may read.

        Of a pool: ĝ_j = Σ_x D(x)/(1 − Σ w²) Σ_i w_i (r_ij − Σ w r_j) ∇log π(y_i|x), w_i ∝
        min(π(y_i|x)/π_then(y_i|x), CAP) over each prompt's draws: the estimate from K completions
        of today where all w are 1/K.
        """
        if not self.samples:
            return exactly(now)
        if not (self.guard.pool or self.guard.certified):
            return drawn(self.ensemble, now, self.rngs, self.samples, 1 + self.guard.crossed)
        place = places(self.ensemble, now, self.rngs, self.samples)
        self._draws.append(Draws(frequency(self.ensemble, place), now.mass))
        earlier = min(STEPS, max(self.guard.pool // self.samples - 1, 0))
        del self._draws[: -1 - earlier]
        pool = self._pool(now)
        gap = self.ensemble.centred(self.ensemble.rewards, pool.share)
        weight = self.ensemble.prompt_share * pool.share / (1 - pool.square)
        return (weight[..., None] * gap,)

    def floor(self, start: Tensor, values: Tensor) -> Tensor:
        """Restoring floors κ(ref − J)⁺ (R, M), from values (R, M) of the start and now."""
        self._best = values if self._best is None else self._best.maximum(values)
        held = start + self.guard.best * (self._best - start)
        return self.guard.restoring * (held - values).clamp(min=0.0)

    def margin(self, now: Snapshot, step: Tensor) -> Tensor:
        """Standard errors of the step's effects on the pool, as often as asked: (R, M)."""
        if not self.guard.certified:
            return torch.zeros_like(now.values)
        ensemble, pool = self.ensemble, self._pool(now)
        after = ensemble.along(ensemble.log_policy(now.theta + step)).sum(2)
        ratio = (after - now.log_token.sum(2)).nan_to_num().clamp(-20.0, 20.0)
        product = ensemble.centred(ensemble.rewards, pool.share) * ensemble.centred(
            ratio[..., None], pool.share
        )
        share = ensemble.prompt_share.square() * pool.share * pool.square / (1 - pool.square)
        spread = share[..., None] * ensemble.centred(product, pool.share).square()
        return self.guard.certified * spread.sum(1).sqrt()

    def agreeing(self, gradients: Tensor, values: Tensor, metric: Tensor) -> Tensor:
        """Gradients (R, M, D), changed least so that the last steps did to J what they did.

        With u a finished step and Δ_j its change: g_j + P⁻¹u(Δ_j − g_j·u)/u'P⁻¹u, for several
        steps by least squares.
        """
        past = self._steps[-self.guard.secants :]
        if not (past and self.guard.secants):
            return gradients
        reached = [*(before for before, _ in past[1:]), values]
        change = torch.stack([a - b for a, (b, _) in zip(reached, past, strict=True)], 1)
        steps = torch.stack([step for _, step in past], 1)
        moves = metric > 0
        dual = steps * torch.where(moves, 1 / torch.where(moves, metric, 1.0), 0.0)[:, None]
        square = dual @ steps.mT
        ridge = 1e-6 * square.diagonal(dim1=1, dim2=2) + 1e-30
        missing = change - steps @ gradients.mT
        found = torch.linalg.solve(square + torch.diag_embed(ridge), missing)
        agreeing: Tensor = gradients + found.mT @ dual
        return agreeing

    def remember(self, values: Tensor, step: Tensor) -> None:
        """Take in a finished step (R, D), from where the values were (R, M)."""
        self._steps.append((values, step))
        del self._steps[: -max(self.guard.secants, 1)]

    def _pool(self, now: Snapshot) -> Pool:
        share, square = torch.zeros_like(now.mass), torch.zeros_like(now.mass)
        for own in self._draws:
            seen = own.mass > 0
            ratio = torch.where(seen, now.mass / torch.where(seen, own.mass, 1.0), 0.0)
            weight = own.share * ratio.clamp(max=CAP)
            share = share + weight
            square = square + weight * ratio.clamp(max=CAP) / self.samples
        size = self._total(share)
        return Pool(share / size, self._total(square) / size.square())

    def _total(self, values: Tensor) -> Tensor:
        """Each prompt's sum, at all its completions: (R, N)."""
        by_prompt = self.ensemble.by_prompt(values)
        return by_prompt.sum(2, keepdim=True).expand_as(by_prompt).flatten(1)

"""CTWA: raise the log-weight of every objective whose covariance is below its target (part C)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.scalarizers._batch_headroom import batch_covariances
from covlaw.theory.scalarizers._ctwa.gate import (
    PUBLISHED,
    gate_levels,
    mean_rewards,
    reference_statistic,
)
from covlaw.theory.scalarizers._ctwa.targets import OBSERVED, STATISTICS, TargetRule
from covlaw.theory.scalarizers._given import given_rewards, weighted
from covlaw.theory.scalarizers._options import choice, per_objective, positive
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal

LARGEST_CAP = 700.0
"""Largest log-weight whose exponential is a float64."""


class CtwaState(NamedTuple):
    """Log-weights u and the running covariances."""

    log_weights: Tensor
    """(M,) u, 0 at the start, never above the cap."""
    covariance: Tensor
    """(M,) EMA of the observed covariances."""
    level: Tensor
    """(M,) mean rewards of the last batch, −inf before it: what the gate looks at."""
    seen: Tensor
    """() int64 number of observations; the first one starts the EMA."""


class Ctwa:
    """Covariance-targeted weight adaptation (Lu & Jiang 2026): s = λ·r, u += η·relu(c − EMA(y)).

    The defaults are the published rule: y is observed after each step, c is fixed, λ ∝ e^u, and an
    objective whose mean reward in the last batch has reached its gate gains no more weight (the
    public configuration's `gate_by_obj_targets`). The other options are THEORY's guidance (part C):

    - `statistic` grpo, pooled or raw: y is the law's covariance with the advantage of that name,
      from the batch's rewards alone, unbiased (K − 1) within each prompt. λ is older than the
      batch, so y_raw = Cλ is unbiased (T19). It replaces the observation, and with it the need for
      samples after the step. grpo and pooled divide by within-prompt stds; global whitening is not
      offered, since with it CTWA can diverge on feasible targets (T38).
    - `share` α: the targets are α·t*·c with this batch's headroom t* (T36), so that they cannot
      become infeasible as the policy converges (T39); `target` is then only the direction c.
    - `refuse_infeasible`: a batch on which fixed targets are infeasible, t* < 1, raises an error
      that names the bundle of objectives that is asked too much.

    Weights are normalised to sum to 1 by default: without effect on a scale-free advantage, and on
    a raw one it keeps CTWA from raising the learning rate. But then a *raw* y = Cλ may rest below
    a target that other weights on the simplex meet: raising a weight lowers the others, and its own
    covariance with them. The dynamics end at the KKT point of min ½λ'Cλ − c·λ over the simplex,
    where (c − Cλ)_j = κ on the support; κ > 0 is possible. Example: C = [[1, 2], [2, 5]],
    c = (1.6, 1.6) is met by λ = (0, 1), yet from equal weights CTWA ends at (1, 0), where
    y_1 = 1. With `normalised=False` feasible raw targets are reached (T33), at the price of weights
    that act as a learning rate.

    Args:
        objectives: M names.
        target: c ≥ 0, the covariance asked of each objective (one number or one each), in units
            of reward × advantage, or reward × ratio for the observed one.
        step: η > 0, log-weight per unit of missing covariance.
        ema: τ in (0, 1], share of the new observation. Keep step·target/τ ≤ 0.3 (T40).
        cap: Largest log-weight; bounds any two weights' ratio by e^cap.
        statistic: observed, grpo, pooled or raw.
        share: α in (0, 1], or None for fixed targets.
        refuse_infeasible: Whether infeasible fixed targets raise an error.
        normalised: Whether the weights sum to 1; else λ = e^u.
        gate: Mean rewards from which a weight grows no more: "published" (1 for accuracy, .95 for
            conciseness and clarity, none for objectives of other names), "off", one number or one
            an objective.
        reference: As the public code computes y: the covariance with the whitened advantage, 1/K
            within prompts, without completions beyond 100 times the median |w|.

    Raises:
        CovlawError: on options outside their domain, or that do not go together.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset({"covariance"})

    def __init__(
        self,
        objectives: Sequence[str],
        target: float | Sequence[float] | None = None,
        step: float = 0.05,
        ema: float = 0.1,
        cap: float = 10.0,
        statistic: str = OBSERVED,
        share: float | None = None,
        refuse_infeasible: bool = False,
        normalised: bool = True,
        gate: str | float | Sequence[float] = PUBLISHED,
        reference: bool = False,
    ) -> None:
        self.target = per_objective(target, objectives, "target", 0.1)
        self.step = positive(step, "step")
        self.ema = positive(ema, "ema", 1.0)
        self.cap = positive(cap, "cap", torch.inf if normalised else LARGEST_CAP)
        self.statistic = choice(statistic, "statistic", STATISTICS)
        self.rule = TargetRule(tuple(objectives), self.target, statistic, share, refuse_infeasible)
        self.normalised = normalised
        self.gate = gate_levels(gate, objectives)
        self.reference = reference
        if reference and statistic != OBSERVED:
            raise CovlawError(f"reference=True has a statistic of its own: leave {statistic!r} out")
        self.stacks = not refuse_infeasible
        if statistic != OBSERVED or reference:
            self.after = frozenset()

    def init(self) -> CtwaState:
        """Equal weights, nothing seen."""
        zero = torch.zeros_like(self.target)
        level = torch.full_like(zero, -torch.inf)
        return CtwaState(zero, zero.clone(), level, torch.zeros((), dtype=torch.int64))

    def signal(self, state: CtwaState, batch: Batch) -> tuple[CtwaState, Signal]:
        """s = λ·r; a statistic of the batch then moves the weights for the next one."""
        u = state.log_weights
        weights = torch.softmax(u, -1) if self.normalised else u.exp()
        rewards = given_rewards(batch, self.target.shape[0], "ctwa")
        signal = Signal(weighted(rewards, weights), weights=weights)
        state = state._replace(level=mean_rewards(batch))
        if self.reference:
            fresh = reference_statistic(batch, signal.score)
            return self._moved(state, fresh, self.target), signal
        if self.statistic == OBSERVED:
            return state, signal
        covariances = batch_covariances(batch, self.target.shape[0], "ctwa")
        forecast = SIGNALS[self.statistic](covariances, weights)
        return self._moved(state, forecast, self.rule.targets(covariances)), signal

    def update(self, state: CtwaState, seen: Observation) -> CtwaState:
        """Move the log-weights of the objectives whose observed covariance is below target."""
        if not self.after:
            return state
        if seen.covariance is None or not bool(torch.isfinite(seen.covariance).all()):
            raise CovlawError(
                f"ctwa needs a finite covariance after each step, got {seen.covariance}"
            )
        return self._moved(state, seen.covariance.to(torch.float64), self.target)

    def predictions(self) -> tuple[str, ...]:
        """E1."""
        return ("E1",)

    def _moved(self, state: CtwaState, fresh: Tensor, target: Tensor) -> CtwaState:
        started = state.seen[..., None] > 0
        rate = torch.where(started, torch.full_like(self.target, self.ema), 1.0)
        covariance = (1 - rate) * state.covariance + rate * fresh
        missing = torch.where(state.level < self.gate, torch.relu(target - covariance), 0.0)
        raised = (state.log_weights + self.step * missing).clamp(max=self.cap)
        return CtwaState(raised, covariance, state.level, state.seen + 1)

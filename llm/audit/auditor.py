"""When and on what to audit: draws the samples before and after an update, writes the records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm.audit.change import Before, Change, HeldOutChange
from covlaw.llm.audit.engine_margin import engine_margin
from covlaw.llm.audit.facts import audit_facts, optimism, rounded
from covlaw.llm.audit.impossible import warn_of_impossible
from covlaw.llm.audit.inner_weights import inner_weights
from covlaw.llm.audit.kl_objective import kl_objective
from covlaw.llm.audit.leak import leak_record
from covlaw.llm.audit.penalty import penalty_record
from covlaw.llm.audit.record import Evidence, audit_record, measure_change, save_evidence
from covlaw.llm.audit.schedule import audit_count, audit_steps
from covlaw.llm.audit.terms import Transition, step_fields, update_fields
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.loop.randomness import numpy_stream, torch_stream
from covlaw.llm.loop.signals import Applied, Signals
from covlaw.llm.model.parameters import at
from covlaw.llm.rewards import RewardState
from covlaw.llm.sampling.engines import truncation_of
from covlaw.llm.sampling.rollout import SampledRollouts, Sampler, choose
from covlaw.llm.tasks import Problem
from covlaw.theory.estimators.budget import ScoreFields


class Pending(NamedTuple):
    """What is drawn from π_old before the update."""

    gradient: SampledRollouts | None
    """None in a light audit."""
    test: SampledRollouts
    measured: Before
    """The sample that measures the values before."""
    held_out: Before | None
    """Likewise, on held-out prompts."""


class Auditor:
    """Audits a run's updates at chosen steps, on samples apart from the batches.

    Args:
        model: The policy.
        sampler: Draws from it.
        signals: Of the run.
        problems: That the run trains on.
        held_out: That it does not; read where `audit_held_out` asks for any.
        config: Of the run.
    """

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        signals: Signals,
        problems: Sequence[Problem],
        held_out: Sequence[Problem],
        config: TrainConfig,
    ) -> None:
        self.model, self.sampler, self.signals = model, sampler, signals
        self.problems, self.config = problems, config
        self.change = Change(sampler, config, "measure")
        self.held_out = HeldOutChange(sampler, held_out, config)
        self.folder = Path(config.out) / "audits"
        self.steps = audit_steps(config.steps, audit_count(config, config.steps))

    def before(self, step: int, applied: Applied, reward_state: RewardState) -> Pending:
        """Draw π_old's two samples, under the signal that this batch got."""
        config = self.config
        generator = torch_stream(config.seed, step, "audit", config.device)
        rng = numpy_stream(config.seed, step, "audit")
        problems = choose(self.problems, config.audit_prompts, rng)
        drawn = [
            self._sample(problems, applied, reward_state, generator)
            for _ in range(1 if config.audit == "light" else 2)
        ]
        gradient, test = (drawn[0] if len(drawn) > 1 else None), drawn[-1]
        measured = self.change.before(step, problems, reward_state)
        return Pending(gradient, test, measured, self.held_out.before(step, reward_state))

    def after(
        self, step: int, pending: Pending, batch: SampledRollouts, moved: Transition
    ) -> list[dict[str, Any]]:
        """Judge the update on π_old's test sample and on the batch itself; keep the arrays."""
        config, model = self.config, self.model
        new, old = self.change.after(pending.measured), pending.measured.drawn
        measured = measure_change(new, old, len(pending.measured.problems))
        gradient = pending.gradient
        if gradient is None:
            fields = step_fields(model, pending.test, moved, config)
        else:
            fields = update_fields(model, pending.test, gradient, moved, config)
        independent = self._evidence(pending.test, fields, moved)
        if active().first:
            save_evidence(self.folder / f"step_{step:05d}.safetensors", independent, measured)
        record = audit_record("independent", independent, measured, gradient is not None)
        if active().first:
            warn_of_impossible(step, record, independent.rewards, config.objectives)
        record |= audit_facts(independent, config)
        if pending.held_out:
            record["held_out"] = self.held_out.record(pending.held_out)
        record |= self._beside(new, pending.test, gradient, moved)
        if gradient is None:
            return [record]
        if config.completions == 1:  # within prompts the batch itself shows no covariance
            return [record]
        own = self._evidence(batch, step_fields(model, batch, moved, config), moved)
        same = audit_record("same", own, measured)
        return [record | {"optimism": optimism(record, same)}, same]

    def _beside(
        self,
        new: SampledRollouts,
        test: SampledRollouts,
        gradient: SampledRollouts | None,
        moved: Transition,
    ) -> dict[str, Any]:
        """What a run's settings add to an audit; `new` is a sample of π_new."""
        config, model, record = self.config, self.model, dict[str, Any]()
        if truncation_of(config).on:
            record["leak"] = leak_record(model, test, new, moved, config)
        with at(model, moved.old):
            pulled = kl_objective(self.signals, test, config)
            between = engine_margin(self.signals, test, config)
        if between is not None:
            record["engine"] = between
        if pulled is not None:
            record["kl_objective"] = pulled
        if gradient is None:
            return record
        if config.audit_gramian:
            record["gramian"] = self._gramian(gradient, moved)
        penalty = penalty_record(model, test, gradient, moved, config)
        if penalty is not None:
            record["penalty"] = penalty
        return record

    def _sample(
        self,
        problems: list[Problem],
        applied: Applied,
        reward_state: RewardState,
        generator: torch.Generator,
    ) -> SampledRollouts:
        drawn = self.sampler.draw(problems, self.config.audit_completions, reward_state, generator)
        return drawn.weighted(self.signals.again(applied, drawn))

    def _evidence(
        self, sample: SampledRollouts, fields: ScoreFields, moved: Transition
    ) -> Evidence:
        device = sample.prompt.device
        inner = [
            (weight.to(device), log_ratio.to(device))
            for weight, log_ratio in inner_weights(self.model, sample, moved, self.config)
        ]
        return Evidence(sample, ScoreFields(*(f.to(device) for f in fields)), inner)

    def _gramian(self, sample: SampledRollouts, moved: Transition) -> list[list[float]]:
        """Inner products of the objectives' policy gradients at π_old."""
        with at(self.model, moved.old):
            found = policy_gramian(self.model, sample.completions, sample.rewards, self.config)
        return list(rounded(found.tolist()))

"""When and on what to audit: draws the samples before and after an update, writes the records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm.audit import Sample, Transition, same_sample_fields, update_fields
from covlaw.llm.audit_penalty import penalty_record
from covlaw.llm.audit_record import Evidence, audit_record, measure_change, save_evidence
from covlaw.llm.config import TrainConfig
from covlaw.llm.engines import truncation_of
from covlaw.llm.inner_weights import inner_weights
from covlaw.llm.leak import leak_record
from covlaw.llm.randomness import numpy_stream, torch_stream
from covlaw.llm.rewards import RewardState
from covlaw.llm.sampling import Drawn, Sampler, choose
from covlaw.llm.signals import Applied, Signals
from covlaw.llm.tasks import Problem


class Pending(NamedTuple):
    """What is drawn from π_old before the update."""

    problems: list[Problem]
    reward_state: RewardState
    gradient: Sample
    test: Sample
    old: Drawn
    """The sample that measures the values before."""


class Auditor:
    """Audits a run's updates at chosen steps, on samples apart from the batches."""

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        signals: Signals,
        problems: Sequence[Problem],
        config: TrainConfig,
    ) -> None:
        self.model, self.sampler, self.signals = model, sampler, signals
        self.problems, self.config = problems, config
        self.folder = Path(config.out) / "audits"
        self.steps = audit_steps(config.steps, config.audits)

    def before(self, step: int, applied: Applied, reward_state: RewardState) -> Pending:
        """Draw π_old's two samples, under the signal that this batch got."""
        config = self.config
        generator = torch_stream(config.seed, step, "audit", config.device)
        rng = numpy_stream(config.seed, step, "audit")
        problems = choose(self.problems, config.audit_prompts, rng)
        gradient, test = (
            self._sample(problems, applied, reward_state, generator) for _ in range(2)
        )
        old = self._measuring_sample(step, problems, reward_state)
        return Pending(problems, reward_state, gradient, test, old)

    def after(
        self, step: int, pending: Pending, batch: Sample, moved: Transition
    ) -> list[dict[str, Any]]:
        """Judge the update on π_old's test sample and on the batch itself; keep the arrays."""
        config, model = self.config, self.model
        new = self._measuring_sample(step, pending.problems, pending.reward_state)
        measured = measure_change(new, pending.old, len(pending.problems))
        fields = update_fields(model, pending.test, pending.gradient, moved, config)
        independent = self._evidence(pending.test, fields, moved)
        own = self._evidence(batch, same_sample_fields(model, batch, moved, config), moved)
        save_evidence(self.folder / f"step_{step:05d}.safetensors", independent, measured)
        record = audit_record("independent", independent, measured)
        if truncation_of(config).on:
            record["leak"] = leak_record(model, pending.test, new, moved, config)
        penalty = penalty_record(model, pending.test, pending.gradient, moved, config)
        if penalty is not None:
            record["penalty"] = penalty
        return [record, audit_record("same", own, measured)]

    def _sample(
        self,
        problems: list[Problem],
        applied: Applied,
        reward_state: RewardState,
        generator: torch.Generator,
    ) -> Sample:
        drawn = self.sampler.draw(problems, self.config.audit_completions, reward_state, generator)
        return Sample(drawn.completions, drawn.rewards, self.signals.again(applied, drawn))

    def _evidence(self, sample: Sample, fields: Any, moved: Transition) -> Evidence:
        inner = inner_weights(self.model, sample, moved, self.config)
        return Evidence(sample.prompt, sample.rewards, sample.advantage, fields, inner)

    def _measuring_sample(
        self, step: int, problems: list[Problem], reward_state: RewardState
    ) -> Drawn:
        """Draw from the policy as it is now, with the same random numbers before and after."""
        config = self.config
        generator = torch_stream(config.seed, step, "measure", config.device)
        return self.sampler.draw(problems, config.measured_completions, reward_state, generator)


def audit_steps(steps: int, audits: int) -> frozenset[int]:
    """Spread audits over a run, denser at its start, where most of the change is."""
    if audits == 0:
        return frozenset()
    shares = [(k / max(audits - 1, 1)) ** 2 for k in range(audits)]
    return frozenset(round(share * (steps - 1)) for share in shares)

"""One step of RL: sample, score, scalarize, update, observe, audit."""

from typing import Any, NamedTuple

import torch

from covlaw.llm.audit.auditor import Auditor
from covlaw.llm.audit.terms import Transition
from covlaw.llm.config.algorithms import warn_of_traps
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.distributed.rows import over_all_ranks
from covlaw.llm.guard.guard import Guard
from covlaw.llm.loop.dynamic_sampling import DynamicSampling, Filled
from covlaw.llm.loop.group_shares import group_shares, warn_of_flat
from covlaw.llm.loop.moved import Movement
from covlaw.llm.loop.observation import Observer
from covlaw.llm.loop.optimizer import make_adamw
from covlaw.llm.loop.policy_step import policy_step
from covlaw.llm.loop.prompt_order import PromptOrder, steps_in_all
from covlaw.llm.loop.randomness import torch_stream
from covlaw.llm.loop.signals import Applied, Signals
from covlaw.llm.loop.step_record import Lines, step_record
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.loop.validation import SPLIT
from covlaw.llm.model.adapters import adapted
from covlaw.llm.model.context import require_context
from covlaw.llm.model.ends import end_tokens
from covlaw.llm.model.last_layers import train_last
from covlaw.llm.model.parameters import count_of
from covlaw.llm.model.policy import load_policy
from covlaw.llm.plan.learning_rate import warn_of_rate
from covlaw.llm.rewards import initial_state, observe_lengths
from covlaw.llm.rewards.answers import budget
from covlaw.llm.runs.checkpoint_manager import States
from covlaw.llm.runs.samples import sample_record, sample_steps
from covlaw.llm.sampling.engines import make_engine, measuring_engine
from covlaw.llm.sampling.prompts import load_split, prompts_of, warn_of_shared
from covlaw.llm.sampling.rollout import SampledRollouts, Sampler
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import Problem


class Parts(NamedTuple):
    """A step's rows, apart by what they are for."""

    update: SampledRollouts
    observed: SampledRollouts | None
    guard: SampledRollouts | None


class Trainer:
    """One run's moving parts, and its steps.

    Args:
        config: Of the run; `steps` may be 0, the trainer's own says how many there are.
    """

    def __init__(self, config: TrainConfig) -> None:
        warn_of_traps(config)
        self.scalarizer = config.make_scalarizer()
        self.config, questions = config, load_split(config, "train")
        rewards = Rewards(config.rewards, config.reward_seconds)
        rewards.require(questions)
        self.model, self.tokenizer = load_policy(config.model, config.device, config.chat_template)
        train_last(self.model, config.train_layers)
        self.model = adapted(self.model, config.lora, config.seed)
        problems = self.prompts(questions)
        steps = steps_in_all(config, len(problems))
        self.config = config = config.with_options(steps=steps, data_epochs=0)
        self.order = PromptOrder(problems, config)
        wanted = config.kl_coefficient or "log_ratio_to_reference" in self.scalarizer.before
        self.reference = load_policy(config.model, config.device)[0] if wanted else None
        if active().first:
            warn_of_rate(config.learning_rate, count_of(self.model))
        self.optimizer = make_adamw(self.model, config.learning_rate, config.weight_decay)
        apart = config.evaluate_every or (config.audits and config.audit_held_out)
        held_out = self.prompts(load_split(config, SPLIT)) if apart else []
        warn_of_shared(problems, held_out, SPLIT)
        sampled = [problem.prompt for problem in (*problems, *held_out)]
        require_context(self.model, self.tokenizer, sampled, config.max_tokens)
        self.guard = Guard(self.model, self.optimizer, config)
        self.engine = make_engine(config, self.model, self.tokenizer, sampled)
        self.sampler = Sampler(self.engine, rewards, config)
        exact = measuring_engine(config, self.model, self.tokenizer, self.engine)
        self.measuring = Sampler(exact, rewards, config)
        self.ends = end_tokens(self.model, self.tokenizer)
        self.signals = Signals(self.scalarizer, self.model, self.reference, config, self.ends)
        self.dynamic = DynamicSampling(self.sampler, self.signals, problems, config)
        self.auditor = Auditor(self.model, self.measuring, self.signals, problems, held_out, config)
        self.movement = Movement(self.model, config)
        self.sampled = sample_steps(config, self.auditor.steps)

    def prompts(self, questions: list[Problem]) -> list[Problem]:
        """Questions as prompts of the run's model, without those that are too long."""
        return prompts_of(self.config, self.tokenizer, questions)

    def fresh(self) -> States:
        """States before the first step."""
        ones = torch.ones(1, dtype=torch.float64)
        return States(self.scalarizer.init(), initial_state(ones), self.guard.fresh())

    def step(self, step: int, states: States) -> tuple[States, Lines]:
        """Do one step: the states after it and its records."""
        config, audited = self.config, step in self.auditor.steps
        with budget.counting() as cuts:
            drawn, states = self._draw(step, states)
        cut = over_all_ranks(cuts.count, "answers that were cut")
        if step == 0 and active().first:
            warn_of_flat(drawn)
        train_rows, observed_rows, guard_rows = self._split(step, drawn)
        states = states._replace(guard=self.guard.seen(states.guard, drawn))
        before = (states.scalarizer, states.rewards)
        filled = self.dynamic.fill(step, train_rows, self.order.batch(step), before)
        train_rows = filled.rows
        applied = self.signals.make(states.scalarizer, train_rows)
        observer = self._observer(observed_rows)
        pending = self.auditor.before(step, applied, states.rewards) if audited else None
        unguarded = self.guard.before(guard_rows, states.guard) if guard_rows else None
        rate = self._set_rate(step)
        batch = train_rows.weighted(applied.advantage)
        in_loss = config.kl_coefficient and config.kl_place == "loss"
        anchor = self.reference if in_loss else None
        trace = policy_step(
            self.model, self.optimizer, TrainingBatch.of(batch), config, anchor, audited, step
        )
        guarded = self.guard.correct(unguarded) if unguarded else None
        self.engine.sync(self.model)
        own = self.movement.see(step, batch.completions, trace.log_prob)
        state = applied.state
        state = self.scalarizer.update(state, observer.see()) if observer else state
        audits = []
        if pending:
            moved = Transition(trace, rate, anchor)
            audits = self.auditor.after(step, pending, batch, moved)
        told = guarded.record() if guarded else None
        shares = group_shares(train_rows, applied.advantage, self.ends)
        shares |= filled.record
        weights = applied.weights
        record = step_record(step, config, drawn, weights, trace, audits, cut, told, shares, own)
        lengths = observe_lengths(
            states.rewards, drawn.completions.lengths.double(), config.length_decay
        )
        after = states._replace(scalarizer=state, rewards=lengths)
        spent = {"guard_seconds": round(guarded.seconds, 4)} if guarded else {}
        return after, Lines(record, self._samples(step, filled, applied), spent)

    def _draw(self, step: int, states: States) -> tuple[SampledRollouts, States]:
        config = self.config
        problems = self.order.batch(step)
        stream = torch_stream(config.seed, step, "completions", config.device)
        seen = config.observed if self._observes else 0
        count = config.completions + seen + self.guard.rows_at(step)
        completions = self.sampler.sample(problems, count, stream)
        if step == 0:  # nothing seen before: the first batch sets the mean length
            states = states._replace(rewards=initial_state(completions.lengths.double()))
        return self.sampler.scored(completions, problems, states.rewards), states

    def _samples(self, step: int, batch: Filled, applied: Applied) -> dict[str, Any] | None:
        if step not in self.sampled:
            return None
        return sample_record(step, self.config, batch.problems, batch.rows, applied.advantage)

    @property
    def _observes(self) -> bool:
        return bool(self.scalarizer.after)

    def _split(self, step: int, drawn: SampledRollouts) -> Parts:
        """Part the rows that make the update from those that observe it, and from the guard's."""
        observed, guards = None, None
        if self.guard.rows_at(step):
            before = self.config.completions + (self.config.observed if self._observes else 0)
            drawn, guards = drawn.parted(before)
        if self._observes:
            drawn, observed = drawn.parted(self.config.completions)
        return Parts(drawn, observed, guards)

    def _observer(self, rows: SampledRollouts | None) -> Observer | None:
        return Observer(self.model, rows, self.scalarizer.after, self.config) if rows else None

    def _set_rate(self, step: int) -> float:
        share = min((step + 1) / self.config.warmup, 1.0) if self.config.warmup else 1.0
        rate = self.config.learning_rate * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

"""What an update changed, seen on fresh samples: of an audit's prompts, and of held-out ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from covlaw.llm.audit.facts import rounded
from covlaw.llm.audit.record import measure_change
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.randomness import Purpose, numpy_stream, torch_stream
from covlaw.llm.rewards import RewardState
from covlaw.llm.sampling.rollout import SampledRollouts, Sampler, choose
from covlaw.llm.tasks import Problem


class Before(NamedTuple):
    """A sample of the policy before the update, and what a second one has to share with it."""

    step: int
    problems: list[Problem]
    reward_state: RewardState
    drawn: SampledRollouts


class Change:
    """Draws before and after an update, with the same random numbers.

    Args:
        sampler: Draws from the policy as it is at the time.
        config: Of the run.
        stream: Name of the random numbers.
    """

    def __init__(self, sampler: Sampler, config: TrainConfig, stream: Purpose) -> None:
        self.sampler, self.config, self.stream = sampler, config, stream

    def before(self, step: int, problems: list[Problem], reward_state: RewardState) -> Before:
        """Draw from the policy before the update."""
        drawn = self._draw(step, problems, reward_state)
        return Before(step, problems, reward_state, drawn)

    def after(self, before: Before) -> SampledRollouts:
        """Draw again after it; rewards are judged in the state before it."""
        return self._draw(before.step, before.problems, before.reward_state)

    def _draw(
        self, step: int, problems: list[Problem], reward_state: RewardState
    ) -> SampledRollouts:
        config = self.config
        generator = torch_stream(config.seed, step, self.stream, config.device)
        return self.sampler.draw(problems, config.measured_completions, reward_state, generator)


class HeldOutChange:
    """The same on prompts that the run never trains on.

    Args:
        sampler: Draws from the policy.
        problems: Of a split apart; read where `audit_held_out` asks for any.
        config: Of the run.
    """

    def __init__(self, sampler: Sampler, problems: Sequence[Problem], config: TrainConfig) -> None:
        self.problems, self.config = problems, config
        self.change = Change(sampler, config, "held_out")

    def before(self, step: int, reward_state: RewardState) -> Before | None:
        """Draw from the policy before the update, if so configured."""
        count = self.config.audit_held_out
        if not count:
            return None
        problems = choose(self.problems, count, numpy_stream(self.config.seed, step, "held_out"))
        return self.change.before(step, problems, reward_state)

    def record(self, before: Before) -> dict[str, Any]:
        """{n_prompts, estimate, se, low, high}: the change on those prompts."""
        count = len(before.problems)
        change = measure_change(self.change.after(before), before.drawn, count)
        return {"n_prompts": count, **rounded(change.record())}

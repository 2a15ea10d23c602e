"""An audit of every step of a TRL run: what the law forecasts for each reward, and what happens.

A callback, so nothing of TRL is patched or subclassed. Put this file beside your script;
examples/trl_audit.py is a whole run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import TrainerCallback

from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.records.alarms import certified_fall
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.scalarizers import Observation

Rewards = Mapping[str, Callable[..., Sequence[float]]]
"""Reward functions as TRL calls them, by name: a number for every completion."""


def reward_matrix(rewards: Rewards, **columns: Any) -> Tensor:
    """(N, M) float64, a column a reward."""
    found = [list(reward(**columns)) for reward in rewards.values()]
    return torch.tensor(found, dtype=torch.float64).T


class Forecast(NamedTuple):
    """Completions of π_old that take no part in the step, and what the law says of them."""

    drawn: Completions
    rewards: Tensor
    """(N, M)."""
    law: Covariance
    """Cov(r_j, advantage): where the signal pulls each expected reward."""
    log_prob: Tensor
    """(N,) log π_old."""

    @property
    def alarm(self) -> Tensor:
        """(M,) bool: the law is negative by more than three standard errors."""
        return certified_fall(self.law.estimate, self.law.standard_error)


class Audited(NamedTuple):
    """One step: its forecast, and its outcome on the same completions."""

    step: int
    forecast: Forecast
    did: Covariance
    """Cov(r_j, π_new/π_old): the change of each expected reward, whatever the optimiser."""

    def lines(self, names: Sequence[str]) -> str:
        """One line an objective, with standard errors."""
        columns = (*self.forecast.law[:2], *self.did[:2], self.forecast.alarm)
        rows = zip(names, *(column.tolist() for column in columns), strict=True)
        return "\n".join(
            f"step {self.step} {name}: law {a:+.4f} ± {b:.4f}, did {c:+.4f} ± {d:.4f}"
            + alarm * " ALARM"
            for name, a, b, c, d, alarm in rows
        )


class Audit(TrainerCallback):
    """Forecasts each reward before a step and measures it after, on completions of its own.

    On the batch that made a step every covariance looks better than it is. The samples have a
    generator of their own too: training is the same, bit for bit, with and without the audit.

    Args:
        rewards: The objectives.
        rows: Two examples or more: `prompt`, a text, and the columns that the rewards read.
        score: (rewards (N, M), prompt (N,)) -> (N,), what is trained on; with TRL's own weights
            `lambda rewards, prompt: rewards @ weights`.
        learn: Called after each audited step with what was seen.
        completions: Of each row, two or more.
        every: Steps from one audit to the next.
        show: Takes the lines.
    """

    def __init__(
        self,
        rewards: Rewards,
        rows: Sequence[Mapping[str, Any]],
        score: Callable[[Tensor, Tensor], Tensor],
        learn: Callable[[Observation], object] = lambda seen: None,
        *,
        completions: int = 16,
        every: int = 1,
        show: Callable[[str], object] = print,
    ) -> None:
        self.rewards, self.rows, self.score, self.learn = rewards, rows, score, learn
        self.completions, self.every, self.show = completions, every, show
        self.forecast: Forecast | None = None
        self.audited: list[Audited] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Draw from the policy before the step, and forecast."""
        if args.world_size > 1 or args.top_p != 1 or args.top_k != 0:
            raise CovlawError("this audit is for one process, top_p=1 and top_k=0")
        if state.global_step % self.every == 0:
            model = kwargs["model"]
            with evaluating(model):
                drawn = self._draw(model, kwargs["processing_class"], args, state.global_step)
                log_prob = sequence_log_prob(model, drawn, args.temperature)
            rewards = self._rewards(drawn)
            scaling = "grpo" if args.scale_rewards == "group" else "dr_grpo"
            signal = group_advantage(self.score(rewards, drawn.prompt), drawn.prompt, scaling)
            law = within_prompt_covariance(rewards, signal, drawn.prompt)
            self.forecast = Forecast(drawn, rewards, law, log_prob)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask the policy after the step for the same completions."""
        if self.forecast is None:
            return
        forecast, self.forecast = self.forecast, None
        model, drawn = kwargs["model"], forecast.drawn
        with evaluating(model):
            log_ratio = sequence_log_prob(model, drawn, args.temperature) - forecast.log_prob
        did = exact_change(forecast.rewards, log_ratio, drawn.prompt)
        self.audited.append(Audited(state.global_step, forecast, did))
        self.show(self.audited[-1].lines(list(self.rewards)))
        self.learn(Observation(did.estimate, forecast.rewards.mean(0)))

    def _draw(self, model: Any, tokenizer: Any, args: Any, step: int) -> Completions:
        generator = torch.Generator(model.device).manual_seed(args.seed + step)
        prompts, tokens = [row["prompt"] for row in self.rows], args.max_completion_length
        engine = TransformersEngine(model, tokenizer)
        return engine.sample(prompts, self.completions, tokens, args.temperature, generator)

    def _rewards(self, drawn: Completions) -> Tensor:
        """The rewards as TRL would compute them: (N, M)."""
        rows = [self.rows[i] for i in drawn.prompt.tolist()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        ids = [t[m].tolist() for t, m in zip(drawn.tokens, drawn.mask, strict=True)]
        columns |= {"prompts": columns.pop("prompt"), "completions": drawn.text}
        return reward_matrix(self.rewards, completion_ids=ids, **columns)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without dropout, then as before."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)

"""What the runs did: held-out changes in pairs, and a forecast and a diagnosis from base samples.

Over a whole run the exact form is Cov_base(r_j, π_end/π_base) on the base's samples of training
prompts (T8), a diagnosis: it needs the finished run. The law's forecast is Cov_base(r_j, Σ_k r_k)
on the same, whose sign says who rises under equal weights.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import Scores, evaluate
from covlaw.llm.evaluate.summary import compare, reward_estimates
from covlaw.llm.model.context import require_context
from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.rewards import initial_state
from covlaw.llm.sampling.engines import make_engine
from covlaw.llm.sampling.prompts import load_split, prompts_of
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.threads import thread_count
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.estimators.intervals import interval
from covlaw.theory.estimators.sign_certificate import sign_certified

SEED = 7
LEAST_PROMPTS = 2
"""Below, no error over prompts is known."""

JUDGED = (
    *("task", "task_path", "task_options", "system_prompt", "chat_template"),
    *("max_prompt_tokens", "long_prompts", "rewards", "reward_seconds"),
    *("max_tokens", "temperature", "top_k", "top_p", "threads", "device"),
)
"""Settings of a run that its evaluation has too: prompts, limits, sampling, rewards."""

Say = Callable[[str], None]


class Sizes(NamedTuple):
    """How much is drawn: of the base on training prompts, and of every model on held-out ones."""

    prompts: int = 64
    """Of either kind."""
    completions: int = 8
    """Of each."""


SIZES = Sizes()


class BaseSamples(NamedTuple):
    """Completions of the base on training prompts."""

    drawn: SampledRollouts
    log_prob: torch.Tensor
    """(N,) under the base."""


class Judge:
    """Judges finished runs beside their base, which is evaluated when it is first needed.

    Args:
        config: Of any of the runs: they share base, task and precision.
        say: Is told what is being done.
        sizes: How much is drawn.
    """

    def __init__(self, config: TrainConfig, say: Say, sizes: Sizes = SIZES) -> None:
        self.config, self.say, self.sizes = config, say, sizes

    def of_base(self) -> dict[str, Any]:
        """The base's own part of the record: {objectives, prompts, completions, base, law}."""
        drawn = self._samples.drawn
        law = within_prompt_covariance(drawn.rewards, drawn.rewards.sum(1), drawn.prompt)
        return {
            "objectives": list(self.config.objectives),
            "sizes": self.sizes._asdict(),
            "base": {
                "means": [row._asdict() for row in reward_estimates(self._base)],
                "by_prompt": self._base.by_prompt.tolist(),
            },
            "law": _estimates(law),
        }

    def of_run(self, run: Path) -> dict[str, Any]:
        """A run's: {held_out, by_prompt, exact_change, log_ratio_rms}."""
        config, (drawn, old) = self.config, self._samples
        scores = evaluate(_evaluation(config, str(run / "model"), self.sizes))
        with _computing(config):
            model, _ = load_policy(str(run / "model"), config.device, config.chat_template)
            new = _read(model, drawn, config)
        change = exact_change(drawn.rewards, (new - old).to(drawn.rewards.device), drawn.prompt)
        return {
            "held_out": {n: row._asdict() for n, row in compare(self._base, scores).items()},
            "by_prompt": scores.by_prompt.tolist(),
            "exact_change": _estimates(change) | {"certified": sign_certified(change).tolist()},
            "log_ratio_rms": float((new - old).square().mean().sqrt()),
        }

    @cached_property
    def _base(self) -> Scores:
        self.say(f"evaluating the base on {self.sizes.prompts} held-out prompts")
        return evaluate(_evaluation(self.config, self.config.model, self.sizes))

    @cached_property
    def _samples(self) -> BaseSamples:
        self.say(f"sampling the base on {self.sizes.prompts} training prompts")
        with _computing(self.config):
            return base_samples(self.config, self.sizes)


def base_samples(config: TrainConfig, sizes: Sizes = SIZES) -> BaseSamples:
    """Completions of the base on training prompts, and their log-probs under it.

    They are drawn in float32, as they are read: a copy in bfloat16 is another policy.
    """
    model, tokenizer = load_policy(config.model, config.device, config.chat_template)
    problems = prompts_of(config, tokenizer, load_split(config, "train"))
    problems = problems[: sizes.prompts]
    prompts = [problem.prompt for problem in problems]
    require_context(model, tokenizer, prompts, config.max_tokens)
    exact = config.with_options(sampling_dtype="float32")
    drawn = make_engine(exact, model, tokenizer, prompts).sample(
        prompts,
        sizes.completions,
        config.max_tokens,
        config.temperature,
        torch.Generator(config.device).manual_seed(SEED),
    )
    state = initial_state(drawn.lengths.double().cpu()).limited(config.max_tokens)
    rewards = Rewards(config.rewards, config.reward_seconds)(drawn, problems, state)
    rows = SampledRollouts.of(drawn, rewards, config.objectives)
    return BaseSamples(rows, _read(model, rows, config))


def _read(model: Any, drawn: SampledRollouts, config: TrainConfig) -> torch.Tensor:
    return sequence_log_prob(model, drawn.completions, config.temperature, config.micro_batch)


@contextmanager
def _computing(config: TrainConfig) -> Iterator[None]:
    """The run's threads and shared prompts, no gradients."""
    with thread_count(config.threads), shared_prompts(config.share_prompts), torch.no_grad():
        yield


def _evaluation(config: TrainConfig, model: str, sizes: Sizes) -> EvalConfig:
    shared: dict[str, Any] = {name: getattr(config, name) for name in JUDGED}
    many: dict[str, Any] = {"limit": sizes.prompts, "batch": sizes.prompts}
    many["completions"] = sizes.completions
    return EvalConfig(model=model, split="test", seed=SEED, **shared, **many)


def _estimates(found: Covariance) -> dict[str, list[float]]:
    limits = interval(found)
    return {
        "estimate": found.estimate.tolist(),
        "se": found.standard_error.tolist(),
        "low": limits.low.tolist(),
        "high": limits.high.tolist(),
    }


def words(record: Mapping[str, Any]) -> list[str]:
    """The record as lines of a table."""
    names = record["objectives"]
    lines = [f"{'change on held-out prompts':28}" + "".join(f"{name:>26}" for name in names)]
    for run, found in record["runs"].items():
        cells = [found["held_out"][name] for name in names]
        shown = (f"{c['mean']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]" for c in cells)
        lines.append(f"{run:28}" + "".join(f"{cell:>26}" for cell in shown))
    law = zip(record["law"]["estimate"], record["law"]["se"], strict=True)
    lines.append(
        f"{'law for equal weights':28}" + "".join(f"{f'{e:+.3f} ± {s:.3f}':>26}" for e, s in law)
    )
    return lines

"""How long the runs will take here, from a timed batch of each kind."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from covlaw.ladder.real.judged import Sizes
from covlaw.llm.audit.schedule import audit_count
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.loop.validation import SPLIT
from covlaw.llm.model.adapters import adapted, require_peft
from covlaw.llm.model.context import require_context
from covlaw.llm.model.last_layers import train_last
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.plan.fitting import with_micro_batch
from covlaw.llm.plan.work import (
    BACKWARD,
    FORWARD,
    audit_draws,
    audit_passes,
    step_draws,
    step_passes,
)
from covlaw.llm.sampling.engines import make_engine
from covlaw.llm.sampling.prompts import load_split, prompts_of
from covlaw.llm.threads import thread_count
from covlaw.records.findings import counted

FLOAT32 = 1.7
"""Cost of a pass in float32, in passes in bfloat16: 4.4 s against 2.6 for 32 rows of SmolLM2, timed
once on a CPU with instructions for both."""


class Speed(NamedTuple):
    """Seconds of wall clock a completion, on a step's own batch."""

    draw: float
    """With as many rows at once as a step of the run draws: weights are read once for all."""
    forward: float
    """A forward pass; one there and back costs three."""


def measured_speeds(configs: Iterable[TrainConfig]) -> dict[int, Speed]:
    """`measured_speed` by the rows that a step draws, one run of each kind."""
    kinds: dict[int, TrainConfig] = {}
    for config in configs:
        kinds.setdefault(step_draws(config), config)
    return {rows: measured_speed(config) for rows, config in kinds.items()}


def measured_speed(config: TrainConfig) -> Speed:
    """Draw one step's rows and pass its batch there and back, once each; nothing is updated.

    Raises:
        CovlawError: as a run that cannot begin.
    """
    config = with_micro_batch(config)
    if config.lora:
        require_peft()
    with thread_count(config.threads), shared_prompts(config.share_prompts):
        model, tokenizer = load_policy(config.model, config.device, config.chat_template)
        train_last(model, config.train_layers)
        model = adapted(model, config.lora, config.seed)
        problems = prompts_of(config, tokenizer, load_split(config, "train"))
        every = [problem.prompt for problem in problems]
        require_context(model, tokenizer, every, config.max_tokens)
        prompts = every[: config.prompts]
        engine = make_engine(config, model, tokenizer, prompts)
        stream = torch.Generator(config.device).manual_seed(config.seed)
        each = step_draws(config) // config.prompts
        started = time.perf_counter()
        drawn = engine.sample(prompts, each, config.max_tokens, config.temperature, stream)
        between, rows = time.perf_counter(), len(drawn.text)
        batch = drawn.rows((torch.arange(rows) % each < config.completions).nonzero()[:, 0])
        advantage = torch.ones(len(batch.text), dtype=torch.float64, device=drawn.tokens.device)
        accumulate(model, TrainingBatch(batch, advantage), config)
        passed = time.perf_counter() - between
    return Speed((between - started) / rows, passed / len(batch.text) / (FORWARD + BACKWARD))


def seconds_of(config: TrainConfig, speed: Speed) -> float:
    """Seconds of one run: its steps', audits' and evaluations' samples and passes at this speed."""
    audits = audit_count(config, config.steps)
    measured = audits * audit_draws(config) + evaluation_draws(config)
    dearer = FLOAT32 if config.samples_a_copy else 1.0  # `measuring_engine`
    draws = config.steps * step_draws(config) + dearer * measured
    passes = config.steps * step_passes(config) + audits * audit_passes(config)
    return draws * speed.draw + passes * speed.forward


def evaluation_draws(config: TrainConfig) -> int:
    """Completions of a run's own evaluations: before it, as often as it says, and after it."""
    if not config.evaluate_every:
        return 0
    prompts = len(load_split(config, SPLIT)[: config.evaluate_prompts or None])
    times = -(-config.steps // config.evaluate_every) + 1
    return times * prompts * config.evaluate_completions


def seconds_of_judging(runs: int, speed: Speed, sizes: Sizes) -> float:
    """Seconds of what `judged` draws and reads at this speed: of the base, and of each run."""
    rows = sizes.prompts * sizes.completions
    return rows * ((2 + runs) * speed.draw + (1 + runs) * speed.forward)


def told(configs: Sequence[TrainConfig], speeds: dict[int, Speed], sizes: Sizes) -> str:
    """The estimate in a line."""
    own = [speeds[step_draws(config)] for config in configs]
    most = speeds[max(speeds)]  # judging draws many rows at once
    seconds = sum(seconds_of(c, s) for c, s in zip(configs, own, strict=True))
    factor = FLOAT32 if configs[0].dtype == "bfloat16" else 1.0
    seconds += factor * seconds_of_judging(len(configs), most, sizes)
    threads = configs[0].threads
    return (
        f"{counted(len(configs), 'run')} of {configs[0].steps} steps and their evaluation: about "
        f"{seconds / 60:.0f} minutes here ({own[0].draw:.2f} s to draw a completion, "
        f"{own[0].forward:.2f} s to read one), with nothing else running; "
        f"{counted(threads, 'thread')}, on which the last bits depend"
    )

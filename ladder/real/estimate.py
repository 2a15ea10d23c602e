"""How long the runs will take here, from one timed micro-batch."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from covlaw.llm.audit.schedule import audit_count
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.last_layers import train_last
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
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


class Speed(NamedTuple):
    """Seconds of wall clock a completion, on a step's own batch."""

    draw: float
    forward: float
    """A forward pass; one there and back costs three."""


def measured_speed(config: TrainConfig) -> Speed:
    """Draw one batch of a run and pass it there and back, once each; nothing is updated."""
    with thread_count(config.threads), shared_prompts(config.share_prompts):
        model, tokenizer = load_policy(config.model, config.device)
        train_last(model, config.train_layers)
        problems = prompts_of(config, tokenizer, load_split(config, "train"))[: config.prompts]
        prompts = [problem.prompt for problem in problems]
        engine = make_engine(config, model, tokenizer, prompts)
        stream = torch.Generator(config.device).manual_seed(config.seed)
        started = time.perf_counter()
        drawn = engine.sample(
            prompts, config.completions, config.max_tokens, config.temperature, stream
        )
        between, rows = time.perf_counter(), len(drawn.text)
        advantage = torch.ones(rows, dtype=torch.float64, device=drawn.tokens.device)
        accumulate(model, TrainingBatch(drawn, advantage), config)
        passed = time.perf_counter() - between
    return Speed((between - started) / rows, passed / rows / (FORWARD + BACKWARD))


def seconds_of(config: TrainConfig, speed: Speed) -> float:
    """Seconds of one run: its steps' and audits' samples and passes at this speed."""
    audits = audit_count(config, config.steps)
    draws = config.steps * step_draws(config) + audits * audit_draws(config)
    passes = config.steps * step_passes(config) + audits * audit_passes(config)
    return draws * speed.draw + passes * speed.forward


def told(configs: Sequence[TrainConfig], speed: Speed) -> str:
    """The estimate in a line."""
    seconds = sum(seconds_of(config, speed) for config in configs)
    return (
        f"{len(configs)} runs of {configs[0].steps} steps: about {seconds / 60:.0f} minutes here "
        f"({speed.draw:.2f} s to draw a completion, {speed.forward:.2f} s to read one), with "
        "nothing else running"
    )

"""Tokens a second and model FLOP utilisation of sampling, log-probs and update, timed."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.optimizer import make_adamw
from covlaw.llm.loop.policy_step import policy_step
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.flops import Cost, device_name, pass_cost, peak_of
from covlaw.llm.model.log_prob import all_token_log_prob
from covlaw.llm.model.precision import training_pass
from covlaw.llm.model.random_model import Shape, full_rows, random_model
from covlaw.llm.sampling.decode import decode, prefill
from covlaw.llm.threads import thread_count

REPEATS = 3
NO_END = (-1,)
"""An end of sequence that is never drawn: every row has its full length."""


class Timing(NamedTuple):
    """One kind of pass over a whole batch, after a warm-up."""

    name: str
    seconds: list[float]
    """Each repetition, the device waited for before and after."""
    tokens: int
    """Read (log-probs, update) or drawn (sampling)."""
    tokens_per_second: float
    """Of the median repetition."""
    flops: int | None
    """Of the model, `covlaw.llm.model.flops`; None where they are not what limits the speed."""
    utilisation: float | None
    """flops / (median seconds × the device's dense bfloat16 peak); None for an unknown device."""
    peak_bytes: int | None
    """Allocated at most meanwhile; None off GPUs."""


class Pass(NamedTuple):
    """Something to time."""

    name: str
    work: Callable[[], Any]
    tokens: int
    flops: int | None


NAMES = ("sampling", "sampling_bfloat16", "log_probs", "update", "update_compiled")


def time_passes(shape: Shape, config: TrainConfig, wanted: tuple[str, ...]) -> Iterator[Timing]:
    """Time passes of a randomly initialised model, one after the other.

    Args:
        shape: Of the model.
        config: `prompts` × `completions` rows of `max_prompt_tokens` + `max_tokens` tokens each;
            precision, micro-batch and device as in a run.
        wanted: Names in `NAMES`; two that differ in the precision of sampling, float32 being what
            runs do, and two in whether layers are compiled.
    """
    model = random_model(shape, config.device)
    for task in _passes(model, config):
        if task.name in wanted:
            with thread_count(config.threads):
                timing = timed(task, config.device)
            yield timing


def timed(task: Pass, device: str, repeats: int = REPEATS) -> Timing:
    """Run once to warm up, then `repeats` times against the clock."""
    on_gpu = torch.device(device).type == "cuda"
    task.work()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = [_seconds(task.work, device) for _ in range(repeats)]
    median = statistics.median(seconds)
    peak = peak_of(device_name(device))
    used = task.flops / (median * peak) if task.flops and peak else None
    most = torch.cuda.max_memory_allocated(device) if on_gpu else None
    speed = task.tokens / median
    return Timing(task.name, seconds, task.tokens, speed, task.flops, used, most)


def _seconds(work: Callable[[], Any], device: str) -> float:
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _passes(model: Any, config: TrainConfig) -> Iterator[Pass]:
    rows, length = config.prompts * config.completions, config.max_tokens
    batch = full_rows(model, config)
    cost: Cost = pass_cost(model, rows, config.max_prompt_tokens, length)
    read = rows * (config.max_prompt_tokens + length)

    def sample() -> None:
        with torch.no_grad():
            every = slice(None, None, config.completions)
            prompts = batch.prompt_tokens[every], batch.prompt_mask[every]
            start = prefill(model, *prompts, config.completions)
            decode(model, start, NO_END, length, 1.0, None)

    def sample_low() -> None:
        with training_pass(model, replace(config, compile_layers=False)):
            sample()

    def log_probs() -> None:
        with training_pass(model, config):
            all_token_log_prob(model, batch, rows=config.micro_batch)

    yield Pass("sampling", sample, rows * length, None)
    yield Pass("sampling_bfloat16", sample_low, rows * length, None)
    yield Pass("log_probs", log_probs, read, cost.forward)
    optimizer = make_adamw(model, config.learning_rate, config.weight_decay)
    advantage = torch.randn(rows, dtype=torch.float64).to(config.device)
    training = TrainingBatch(batch, advantage)
    for name, compiles in (("update", False), ("update_compiled", True)):
        settings = replace(config, compile_layers=compiles)

        def update(settings: TrainConfig = settings) -> None:
            policy_step(model, optimizer, training, settings)

        yield Pass(name, update, read, cost.update)

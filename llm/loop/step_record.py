"""The line of steps.jsonl: what a step was and what it saw (DESIGN, Records)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.policy_step import StepTrace
from covlaw.llm.loop.reward_means import reward_means
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.records.schema.versions import RUN


class Lines(NamedTuple):
    """What a step adds to a run's files."""

    step: dict[str, Any]
    """A line of steps.jsonl."""
    samples: dict[str, Any] | None
    """A line of samples.jsonl, at steps that record samples."""
    timing: Mapping[str, float] = {}
    """Seconds of parts of the step, for its line of timing.jsonl."""


def step_record(
    step: int,
    config: TrainConfig,
    drawn: SampledRollouts,
    weights: Tensor | None,
    trace: StepTrace,
    audits: list[dict[str, Any]],
    answers_cut: int = 0,
    guard: dict[str, Any] | None = None,
    shares: Mapping[str, Any] = MappingProxyType({}),
    moved: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the record of one step; means are over all completions drawn, errors by prompt.

    `shares` says how much of the batch could teach nothing (`group_shares`).
    `moved` says how far the update moved the policy on its own batch.
    `answers_cut` counts the answers that were refused because comparing them took too long; it is
    there only where there are any.
    """
    completions, silent = drawn.completions, drawn.silent
    return {
        "schema": RUN,
        "step": step,
        "seed": config.seed,
        "scalarizer": config.scalarizer_name,
        "objectives": list(config.objectives),
        **reward_means(drawn.raw, config.prompts),
        **({"no_opinion": silent} if silent else {}),
        "weights": None if weights is None else weights.tolist(),
        "length_mean": float(completions.lengths.double().mean()),
        "clip_fraction_low": trace.clip_fraction_low,
        "clip_fraction_high": trace.clip_fraction_high,
        "kl_reference": trace.kl_reference,
        **({} if trace.entropy is None else {"entropy": trace.entropy}),
        "grad_norm": trace.grad_norm,
        **({} if moved is None else {"moved": moved}),
        "engine_log_prob_gap": trace.engine_log_prob_gap,
        "engine_log_prob_rms": trace.engine_log_prob_rms,
        **({} if trace.engine_gap is None else {"engine_gap": trace.engine_gap}),
        **shares,
        **({"answers_cut": answers_cut} if answers_cut else {}),
        "tokens": int(completions.mask.sum()),
        **({} if guard is None else {"guard": guard}),
        "audits": audits,
    }

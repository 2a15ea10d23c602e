"""An estimate of a run's memory, part by part: an order of magnitude, not a promise."""

from typing import NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.chunked_head import CHUNK
from covlaw.llm.plan.size import ModelSize
from covlaw.llm.plan.work import step_draws

FLOAT = 4
"""Bytes; parameters, gradients and optimiser states are float32 whatever the passes are."""
ACTIVATION_BYTES = 34
"""Kept for the way back, a token, layer and unit of width, at 16 bits and without the attention
matrix (Korthikanti et al. 2022, arXiv:2205.05198, section 4.1)."""


class Memory(NamedTuple):
    """Bytes; None where the model's name alone does not tell."""

    weights: int
    """The policy, the reference policy under KL, and the old policy while an audit compares."""
    gradients: int
    optimiser: int
    activations: int | None
    """Of one micro-batch."""
    logits: int | None
    """One chunk of them, with its gradient."""
    cache: int | None
    """Keys and values of all completions of a step, in the transformers engine; vLLM takes its
    share of the GPU instead."""

    guard: int = 0
    """The guard's copies of the parameters, its metric and the objectives' gradients."""

    @property
    def known(self) -> int:
        """Sum of the parts that are known, cache and activations not at the same time."""
        passing = max((self.activations or 0) + (self.logits or 0), self.cache or 0)
        return self.weights + self.gradients + self.optimiser + self.guard + passing


def estimate_memory(config: TrainConfig, size: ModelSize, longest: int) -> Memory:
    """Estimate the parts for a run's settings, with a longest prompt of so many characters.

    A token has one character at least, so that prompts are overestimated where no
    `max_prompt_tokens` is below.

    Formulas, P parameters: weights 4P a copy, gradients 4P, AdamW 8P; activations
    34·tokens·width·layers bytes at 16 bits, twice that at 32; with checkpointing one layer's, and
    each layer's input; cache: rows·tokens·layers·(numbers a token)·4; guard, M objectives:
    4P·(4 + M), the old and the new parameters, the step and its metric, M more where its Gramian is
    crossed.
    """
    scalarizer = config.make_scalarizer()
    anchored = config.kl_coefficient or "log_ratio_to_reference" in scalarizer.before
    copies = 1 + bool(anchored) + (config.audits != 0)
    parameters = FLOAT * size.parameters
    rows = step_draws(config)
    tokens = min(config.max_prompt_tokens or longest, longest) + config.max_tokens
    return Memory(
        copies * parameters,
        parameters,
        2 * parameters,
        _activations(config, size, tokens),
        None if size.vocabulary is None else _logits(config, size.vocabulary),
        _cache(config, size, rows * tokens),
        _guard_copies(config) * parameters,
    )


def _guard_copies(config: TrainConfig) -> int:
    settings = config.guard_settings
    return 4 + len(config.rewards) * (1 + settings.crossed) if settings else 0


def _activations(config: TrainConfig, size: ModelSize, row: int) -> int | None:
    if size.layers is None or size.width is None:
        return None
    tokens = config.micro_batch * row
    wide = 1 if config.dtype == "bfloat16" else 2
    layer = tokens * size.width * ACTIVATION_BYTES * wide
    kept = tokens * size.width * 2 * wide * size.layers
    return layer + kept if config.gradient_checkpointing else layer * size.layers


def _logits(config: TrainConfig, vocabulary: int) -> int:
    """At most a chunk of logits, in float32, and as much for its gradient."""
    chunk = CHUNK.get(torch.device(config.device).type, CHUNK["cuda"])
    return 2 * FLOAT * min(chunk, config.micro_batch * config.max_tokens * vocabulary)


def _cache(config: TrainConfig, size: ModelSize, tokens: int) -> int | None:
    if config.engine != "transformers":
        return 0
    if size.layers is None or size.cached is None:
        return None
    return tokens * size.layers * size.cached * FLOAT

"""An estimate of a run's memory, part by part: an order of magnitude, not a promise."""

from typing import NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.chunked_head import CHUNK
from covlaw.llm.plan.size import ModelSize
from covlaw.llm.plan.work import step_draws

FLOAT = 4
"""Bytes; parameters, gradients and optimiser states are float32 whatever the passes are."""
HALF = 2
"""Bytes in bfloat16."""
ACTIVATION_BYTES = 34
"""Kept for the way back, a token, layer and unit of width, at 16 bits and without the attention
matrix (Korthikanti et al. 2022, arXiv:2205.05198, section 4.1)."""


class Memory(NamedTuple):
    """Bytes; None where the model's name alone does not tell."""

    weights: int
    """The policy, the reference policy under KL, and copies in bfloat16."""
    gradients: int
    optimiser: int
    activations: int | None
    """Of one micro-batch."""
    logits: int | None
    """One chunk of them, with its gradient."""
    cache: int | None
    """Keys and values of all completions of a step, in the transformers engine; vLLM takes its
    share of the GPU instead."""

    audit: int = 0
    """The copies that an audit holds."""
    guard: int = 0
    """The guard's copies of the parameters, its metric and the objectives' gradients."""

    @property
    def known(self) -> int:
        """Sum of the parts that are known, cache and activations not at the same time."""
        passing = max((self.activations or 0) + (self.logits or 0), self.cache or 0)
        held = self.weights + self.gradients + self.optimiser
        return held + self.audit + self.guard + passing


def estimate_memory(config: TrainConfig, size: ModelSize, longest: int) -> Memory:
    """Estimate the parts for a run's settings, with a longest prompt of so many characters.

    A token has one character at least, so that prompts are overestimated where no
    `max_prompt_tokens` is below.

    Formulas, P parameters: weights 4P a copy, and 2P where a copy in bfloat16 samples, or of what
    is frozen where only passes on a CPU are in it; with P those that are trained, gradients 4P,
    AdamW 8P; activations 34·tokens·width·layers bytes at 16 bits, twice that at 32; with
    checkpointing one layer's, and each layer's input; cache: rows·tokens·layers·(numbers a
    token)·4; audit: 4P·`audit_copies`; guard, M objectives: 4P·(4 + M), the old and the new
    parameters, the step and its metric, M more where its Gramian is crossed.
    """
    scalarizer = config.make_scalarizer()
    anchored = config.kl_coefficient or "log_ratio_to_reference" in scalarizer.before
    weights = FLOAT * (1 + bool(anchored)) * size.parameters + HALF * _in_half(config, size)
    trained = FLOAT * trained_parameters(config, size)
    rows = step_draws(config)
    tokens = min(config.max_prompt_tokens or longest, longest) + config.max_tokens
    return Memory(
        weights,
        trained,
        2 * trained,
        _activations(config, size, tokens),
        None if size.vocabulary is None else _logits(config, size.vocabulary),
        _cache(config, size, rows * tokens),
        audit_copies(config) * trained,
        _guard_copies(config) * trained,
    )


def trained_parameters(config: TrainConfig, size: ModelSize) -> int:
    """How many parameters a run trains: all of the model's, or with adapters about theirs.

    Of the last layers their share of the layers; of adapters rank·(in + out) of each layer: where
    they are all of a usual decoder's seven, with a feed-forward three times as wide as the rest,
    that is 20·rank·width·layers.
    """
    if config.train_layers and size.layers:
        return size.parameters * min(config.train_layers, size.layers) // size.layers
    if not config.lora:
        return size.parameters
    if size.layers is None or size.width is None:
        return size.parameters // 100
    return min(20 * int(config.lora["rank"]) * size.width * size.layers, size.parameters)


def audit_copies(config: TrainConfig) -> int:
    """Copies of the trained parameters that an audit holds beside the model, at most.

    Of K inner steps: the parameters at the start of each, of which the first is π_old, and its
    gradient (2K); the new parameters while the model stands at the old ones, and the step (2). A
    full audit: its expected gradient, and their sum while it is made (2K), and the direction that
    is followed (1). Its Gramian holds one an objective.
    """
    if config.audits == 0:
        return 0
    inner = config.epochs * config.mini_batches
    if config.audit == "light":
        return 2 * inner + 2
    return 4 * inner + 3 + (len(config.rewards) if config.audit_gramian else 0)


def _in_half(config: TrainConfig, size: ModelSize) -> int:
    """Parameters of which there is a copy in bfloat16: all that sample, or the frozen ones."""
    if config.samples_a_copy:
        return size.parameters
    casts = config.dtype == "bfloat16" and torch.device(config.device).type == "cpu"
    return size.parameters - trained_parameters(config, size) if casts else 0


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

"""How training passes run: precision of their products, and what they keep for the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.compiled import BACKEND, compiled_layers
from covlaw.llm.model.frozen import frozen_in_bfloat16
from covlaw.theory._numerics.errors import CovlawError


@contextmanager
def training_pass(model: Any, config: TrainConfig) -> Iterator[None]:
    """Run forward and backward passes as the settings say.

    `dtype="bfloat16"`: matrix products in bfloat16 (autocast); parameters, their gradients,
    softmax and the optimiser stay float32, for a step of 1e-6 is lost in 8 bits. The policies of
    the ratio and the audits' expected gradients are read this way; sampling, log-ratios and
    directional derivatives of audits are not. Frozen weights are cast once (`llm.model.frozen`).

    `gradient_checkpointing`: a layer's activations are computed anew on the way back. Layers do so
    in training mode only, which is theirs alone here: dropout below them stays off.

    `compile_layers`: layers run compiled (`covlaw.llm.model.compiled`).

    Raises:
        CovlawError: if the model cannot compute its layers anew.
    """
    device = next(model.parameters()).device.type
    layers = _recomputing_layers(model) if config.gradient_checkpointing else []
    for layer in layers:
        layer.training = layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    half = config.dtype == "bfloat16"
    try:
        with (
            compiled_layers(model, BACKEND if config.compile_layers else None),
            frozen_in_bfloat16(model, on=half),
            torch.autocast(device, torch.bfloat16, enabled=half),
        ):
            yield
    finally:
        for layer in layers:
            layer.training = layer.gradient_checkpointing = False


def _recomputing_layers(model: Any) -> list[Any]:
    """Layers that can be computed anew.

    The model's own switch for them also makes embeddings ask for gradients, which forward mode
    refuses; without re-entrant checkpoints nothing needs that.
    """
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers or not getattr(model, "supports_gradient_checkpointing", False):
        raise CovlawError(
            f"{type(model).__name__} cannot compute its layers anew: set gradient_checkpointing "
            "to false, and lower micro_batch if memory is short"
        )
    return layers

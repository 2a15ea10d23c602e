"""How big a model is, from its configuration where that is at hand, else from its name."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm.base import default_root, is_base_name, named_base
from covlaw.llm.base.pretrained import smollm2
from covlaw.llm.base.pretrained.gguf import converted, is_gguf
from covlaw.llm.model.adapters import base_of
from covlaw.llm.model.context import context_length

_BY_NAME = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s?([bBmM])(?![A-Za-z])")


class ModelSize(NamedTuple):
    """What decides the memory of a run; None where only the name is known."""

    parameters: int
    layers: int | None = None
    width: int | None = None
    cached: int | None = None
    """Numbers that the key-value cache keeps for a token in a layer."""
    vocabulary: int | None = None
    context: int | None = None
    """Tokens that it reads at most."""
    source: str = "its configuration"


def size_of(model: str) -> ModelSize | None:
    """Size of a named base model, a local folder, or a hub id in the local cache or by its name.

    Nothing is fetched, and no weight is read. None if neither configuration nor name tells.
    """
    if model == smollm2.NAME:
        return ModelSize(**smollm2.SIZE, source="its package")
    model = base_of(model) or model
    if is_gguf(model) and converted(Path(model), default_root()).is_dir():
        model = str(converted(Path(model), default_root()))
    found = _of_base(model) if is_base_name(model) else _of_config(model)
    if found is not None:
        return found
    named = _BY_NAME.findall(model)
    if not named:
        return None
    number, unit = named[-1]
    count = round(float(number) * (10**9 if unit in "bB" else 10**6))
    return ModelSize(count, source=f"its name ({number}{unit})")


def _of_base(model: str) -> ModelSize:
    from covlaw.llm.base.corpus import language_tokenizer
    from covlaw.llm.base.sft import new_model

    config = named_base(model)
    with torch.device("meta"):
        return _measured(new_model(config, language_tokenizer(config.difficulty)))


def _of_config(model: str) -> ModelSize | None:
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            return _measured(AutoModelForCausalLM.from_config(config))
    except Exception:  # not here, or of another form: loading it will say what is wrong
        return None


def _measured(model: Any) -> ModelSize:
    """Count the parameters of a model without weights (tied ones once)."""
    config = model.config
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return ModelSize(
        sum(p.numel() for p in model.parameters()),
        config.num_hidden_layers,
        config.hidden_size,
        2 * key_heads * head,
        config.vocab_size,
        context_length(config),
    )

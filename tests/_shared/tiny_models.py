"""Untrained chat models of a few thousand parameters, one of each kind that runs meet."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from covlaw.llm.model.tokenizer import build_tokenizer

WORDS = r"0 1 2 3 4 5 6 7 8 9 + - = ? step : answer the so is be brief in a box . \boxed{ }"
MARKS = "<bos> <turn> <done> <system> <user> <assistant>"
CONTEXT = 48
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}> {{ m.content }} <turn> {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
GEMMA = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + LLAMA


class Kind(NamedTuple):
    """What a family of models has of its own."""

    name: str
    """Of its configuration class in transformers, without `Config`."""
    template: str | None
    bos: bool
    """Whether the tokenizer puts a beginning of sequence before a text."""
    settings: dict[str, Any]
    """Of its configuration, beside the common ones."""
    layer: str = "q_proj"
    """A linear layer that adapters are put on."""


COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 40,
    "head_dim": 16,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}
KINDS = {
    "llama": Kind("Llama", LLAMA, True, COMMON),
    "gemma": Kind(
        "Gemma2", GEMMA, True, COMMON | {"query_pre_attn_scalar": 16, "initializer_range": 0.1}
    ),
    "qwen": Kind("Qwen2", LLAMA.replace("{{ bos_token }}", ""), False, COMMON),
    "gpt2": Kind(
        "GPT2",
        None,
        False,
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT, "initializer_range": 0.3},
        "c_attn",
    ),
}


def kind_tokenizer(kind: Kind) -> PreTrainedTokenizerFast:
    """The project's word-level tokenizer with the special tokens and template of a kind."""
    made = build_tokenizer([f"{WORDS} {MARKS}"])
    made.add_special_tokens({"bos_token": "<bos>", "additional_special_tokens": MARKS.split()[1:]})
    if kind.bos:
        made.backend_tokenizer.post_processor = TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", made.bos_token_id)]
        )
    made.chat_template = kind.template
    return made


def write_kind(name: str, folder: Path, seed: int = 0) -> Path:
    """Save an untrained model that ends at its end of sequence, and at the end of a turn."""
    kind = KINDS[name]
    tokenizer = kind_tokenizer(kind)
    turn = tokenizer.convert_tokens_to_ids("<turn>")
    config = getattr(transformers, f"{kind.name}Config")(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **kind.settings,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, turn]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

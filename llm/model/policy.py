"""Loading a policy: any hub id or local path, with errors that say what to do."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from covlaw.llm.base import default_root, ensure_base, is_base_name, named_base
from covlaw.llm.base.pretrained.gguf import ensure_gguf, is_gguf
from covlaw.llm.base.pretrained.smollm2 import NAME, ensure_smollm2
from covlaw.llm.model.adapters import base_of, merged, require_peft
from covlaw.llm.model.hub import hub_reachable
from covlaw.llm.model.quiet import quiet
from covlaw.theory._numerics.errors import CovlawError

GENERIC_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")


def resolve_model(model: str) -> str:
    """Return a path or hub id of what `TrainConfig.model` names.

    "base" or "base:MIXTURE" is a small model, trained if missing; "smollm2" and a GGUF file are
    converted, if they are not yet.
    """
    if is_base_name(model):
        return str(ensure_base(named_base(model), default_root()))
    if model == NAME:
        return str(ensure_smollm2(default_root()))
    return str(ensure_gguf(Path(model), default_root())) if is_gguf(model) else model


def load_tokenizer(path: str) -> Any:
    """Load a tokenizer as its folder describes it.

    `AutoTokenizer` goes by the model's type where it holds the tokenizer's declared class for a
    mistake: a Qwen2 model with a tokenizer of another kind gets Qwen2's splitting and decoding,
    which lose this project's words. A generic class means: tokenizer.json says it all.
    """
    here = cached_only(path)
    declared = get_tokenizer_config(path, local_files_only=here).get("tokenizer_class")
    kind = PreTrainedTokenizerFast if declared in GENERIC_TOKENIZERS else AutoTokenizer
    return kind.from_pretrained(path, local_files_only=here)


def cached_only(path: str) -> bool:
    """Whether nothing but this machine's files can serve: a folder, or no way to the hub."""
    return Path(path).exists() or not hub_reachable()


def load_policy(model: str, device: str = "cpu", chat_template: str = "") -> tuple[Any, Any]:
    """Load `(model, tokenizer)` for training in float32, without running code of the repository.

    A `chat_template` takes the place of the tokenizer's own; the finished model keeps it.

    Raises:
        CovlawError: if the model cannot be found or read, its tokenizer lacks an end-of-sequence
            token, or the device cannot be used.
    """
    path = resolve_model(model)
    try:
        with quiet():
            policy, tokenizer = _loaded(path)
    except CovlawError:
        raise
    except Exception as error:  # whatever a loader makes of a foreign folder
        where = "folder" if Path(path).exists() else "hub id or folder"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "mismatched_sizes" in reason:
            reason = "its weights are not of the shapes that its config.json says"
        raise CovlawError(
            f"cannot load the model from {where} {path!r} ({reason}): give a folder with a Hugging "
            "Face causal LM in safetensors, a reachable hub id, or 'base'"
        ) from error
    if tokenizer.eos_token_id is None:
        raise CovlawError(f"the tokenizer of {path!r} has no end-of-sequence token")
    if chat_template:
        tokenizer.chat_template = chat_template
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    try:
        return policy.to(device).eval(), tokenizer
    except (RuntimeError, AssertionError) as error:  # torch says either where CUDA is not built in
        reason = str(error).splitlines()[0]
        raise CovlawError(f"device {device!r} cannot be used ({reason}): use 'cpu'") from error


def _loaded(path: str) -> tuple[Any, Any]:
    """Read a model whose every weight is in its files, and a number, and a tokenizer that fits it.

    Only safetensors are read: the other format is a program. A folder of adapters gives the model
    that they are for, with them added.
    """
    base = base_of(path)
    if base is not None:
        require_peft()
        return merged(_loaded(base)[0], path), load_tokenizer(path)
    tokenizer, here = load_tokenizer(path), cached_only(path)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        path,
        local_files_only=here,
        adapter_kwargs={"local_files_only": here},  # else it asks the hub for some, again and again
        dtype=torch.float32,
        attn_implementation="sdpa",
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    policy, told = loaded
    if missing := sorted(told["missing_keys"]):
        raise CovlawError(f"model {path!r} has no weights {', '.join(missing[:3])}: mend its files")
    for name, weights in policy.named_parameters():
        if not weights.isfinite().all():
            raise CovlawError(f"model {path!r}: {name} holds what is no number: mend its files")
    if not tokenizer("1 + 1").input_ids:
        raise CovlawError(f"the tokenizer of {path!r} reads no text: add its tokenizer.json")
    rows = policy.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise CovlawError(
            f"the tokenizer of {path!r} has {len(tokenizer)} tokens and its model {rows}: they do "
            "not belong together"
        )
    return policy, tokenizer

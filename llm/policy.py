"""Loading a policy: any hub id or local path, with errors that say what to do."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from covlaw.llm.base import default_root, ensure_base, is_base_name, named_base
from covlaw.llm.quiet import quiet
from covlaw.theory.errors import CovlawError


def resolve_model(model: str) -> str:
    """Return a path or hub id; "base" or "base:MIXTURE" is a small model, trained if missing."""
    return str(ensure_base(named_base(model), default_root())) if is_base_name(model) else model


def load_policy(model: str, device: str = "cpu") -> tuple[Any, Any]:
    """Load `(model, tokenizer)` for training in float32, without running code of the repository.

    Raises:
        CovlawError: if the model cannot be found or read, its tokenizer lacks an end-of-sequence
            token, or the device cannot be used.
    """
    path = resolve_model(model)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path)
            policy: Any = AutoModelForCausalLM.from_pretrained(
                path, dtype=torch.float32, attn_implementation="sdpa"
            )
    except (OSError, ValueError, KeyError) as error:
        where = "folder" if Path(path).exists() else "hub id or folder"
        reason = str(error).splitlines()[0]
        raise CovlawError(
            f"cannot load the model from {where} {path!r} ({reason}): give a folder with a Hugging "
            "Face causal LM, a reachable hub id, or 'base'"
        ) from error
    if tokenizer.eos_token_id is None:
        raise CovlawError(f"the tokenizer of {path!r} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    try:
        return policy.to(device).eval(), tokenizer
    except (RuntimeError, AssertionError) as error:  # torch says either where CUDA is not built in
        reason = str(error).splitlines()[0]
        raise CovlawError(f"device {device!r} cannot be used ({reason}): use 'cpu'") from error

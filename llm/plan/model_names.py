"""What `model` may name, checked before anything is loaded."""

import re
from pathlib import Path

from covlaw.llm.base import is_base_name, named_base
from covlaw.llm.base.pretrained.gguf import check_gguf, is_gguf
from covlaw.llm.base.pretrained.smollm2 import NAME as SMOLLM2
from covlaw.llm.model.adapters import FILE
from covlaw.theory._numerics.errors import CovlawError

_PART = r"\w(?:[\w.-]{0,94}\w)?"
_HUB_ID = re.compile(rf"{_PART}(?:/{_PART})?")
MODEL_FILES = {
    "configuration": ("config.json", FILE),
    "weights": ("*.safetensors", "pytorch_model*.bin"),
    "tokenizer": ("tokenizer*", "vocab*", "*.model"),
}
"""What a model's folder holds: any file of each."""
_SECONDS = 10.0
"""For the hub's answer."""


def check_model(model: str) -> None:
    """Refuse what is no folder with a model, no GGUF file, no name of ours and no hub id.

    Whether the hub has it is seen when the run begins, or by `require_model`.

    Raises:
        CovlawError: naming it and what could be given.
    """
    if is_base_name(model):
        named_base(model)
    elif is_gguf(model):
        check_gguf(Path(model))
    elif Path(model).is_dir():
        _check_model_folder(Path(model))
    elif model != SMOLLM2 and not _HUB_ID.fullmatch(model):
        raise CovlawError(
            f"model {model!r} is no folder here and no hub id: give a folder with a Hugging Face "
            "causal LM, a GGUF file, a hub id such as Qwen/Qwen2.5-1.5B, 'smollm2' or 'base'"
        )


def _check_model_folder(folder: Path) -> None:
    """Refuse a folder without a configuration, weights or a tokenizer."""
    for what, patterns in MODEL_FILES.items():
        if not any(path for pattern in patterns for path in folder.glob(pattern)):
            raise CovlawError(
                f"folder {folder} is no Hugging Face model: it has no {what} "
                f"({' or '.join(patterns)})"
            )


def require_model(model: str) -> None:
    """Refuse a model that is not here and that the hub does not have, before hours of other work.

    Raises:
        CovlawError: as `check_model`, or saying why the hub cannot serve it.
    """
    check_model(model)
    if is_base_name(model) or is_gguf(model) or model == SMOLLM2 or Path(model).is_dir():
        return
    from huggingface_hub import HfApi, try_to_load_from_cache

    from covlaw.llm.model.hub import hub_reachable

    if any(isinstance(try_to_load_from_cache(model, n), str) for n in MODEL_FILES["configuration"]):
        return
    reason = "the hub cannot be reached"
    if hub_reachable():
        try:
            HfApi().model_info(model, timeout=_SECONDS)
        except Exception as error:  # the hub client raises many unrelated kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0]
        else:
            return
    raise CovlawError(
        f"model {model!r} is no folder here, and is not fetched from the hub ({reason}): "
        "give a folder with a Hugging Face causal LM, a hub id, 'smollm2' or 'base'"
    )

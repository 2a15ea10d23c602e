"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) in place of a model's own weights."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covlaw.llm.config.checks import check_counts, check_kinds, check_positive, check_texts
from covlaw.theory._numerics.errors import CovlawError, unknown

ALL = ("all-linear",)
"""Every linear layer but the output head."""
FILE = "adapter_config.json"
"""Of a folder that holds adapters alone, in PEFT's format."""


@dataclass(frozen=True)
class LoraSettings:
    """Options of a run's adapters: W + (alpha/rank)·B·A for each layer's weights W.

    Args:
        rank: Of B·A.
        alpha: Its scale times the rank.
        targets: Ends of the names of the layers, e.g. "q_proj"; or "all-linear".

    Raises:
        CovlawError: on values outside their ranges.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ALL

    def __post_init__(self) -> None:
        check_kinds(self)
        object.__setattr__(self, "targets", tuple(self.targets))
        check_counts(self, {1: ("rank",)})
        check_positive(self, "alpha")
        check_texts("lora.targets", self.targets)


def completed_lora(given: Any) -> dict[str, Any]:
    """Check the table `lora` and add the defaults; {} where nothing is given, and no adapters are.

    Raises:
        CovlawError: for what is no table, an unknown option or a bad value.
    """
    if not isinstance(given, Mapping):
        raise CovlawError(f"lora is {given!r}: use a table, e.g. {{rank = 8}}")
    known = tuple(field.name for field in fields(LoraSettings))
    for name in given:
        if name not in known:
            raise unknown("option in lora", str(name), known)
    if not given:
        return {}
    settings = LoraSettings(**given)
    return asdict(settings) | {"targets": list(settings.targets)}


def require_peft() -> Any:
    """Import PEFT, or say how to get it."""
    try:
        import peft
    except ImportError as error:
        raise CovlawError("adapters need PEFT: pip install 'covlaw[peft]'") from error
    return peft


def adapted(model: Any, lora: Mapping[str, Any], seed: int) -> Any:
    """A model whose adapters alone are trained; it starts as the model that it is given.

    Without dropout, which log-probs and derivatives of an audit would not share.

    Args:
        model: The policy; its layers are replaced in place.
        lora: As `completed_lora` returns it; {}: the model as it is.
        seed: Of A; B is 0.

    Raises:
        CovlawError: without PEFT, or for a model or targets that it refuses.
    """
    if not lora:
        return model
    from transformers.pytorch_utils import Conv1D

    peft, targets = require_peft(), tuple(lora["targets"])
    settings = peft.LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        target_modules=ALL[0] if targets == ALL else list(targets),
        lora_dropout=0.0,
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in model.modules()),
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return peft.get_peft_model(model, settings).eval()
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise CovlawError(
            f"lora.targets {list(targets)} do not fit the model ({reason})"
        ) from error


def base_of(folder: str) -> str | None:
    """The model that a folder's adapters are for; None where it holds a model of its own.

    Raises:
        CovlawError: if the folder does not say.
    """
    file = Path(folder) / FILE
    if not file.is_file() or (Path(folder) / "config.json").is_file():
        return None
    try:
        base = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CovlawError(f"{file} does not say what model it is for: mend it") from error
    if not isinstance(base, str) or not base:
        raise CovlawError(f"{file} does not say what model it is for: mend it")
    return base


def merged(model: Any, folder: str) -> Any:
    """The model with a folder's adapters added to its weights: a plain one again."""
    return require_peft().PeftModel.from_pretrained(model, folder).merge_and_unload()


def own_model(model: nn.Module) -> nn.Module:
    """The causal LM itself, its adapters in place, where PEFT wraps it."""
    find = getattr(model, "get_base_model", None)
    return find() if callable(find) else model


def plain_weights(policy: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and weights of the policy as a plain model, adapters added, nothing changed in place.

    Engines that know the plain model read these.
    """
    inner = own_model(policy)
    added = {
        name: module.get_delta_weight("default").detach()
        for name, module in inner.named_modules()
        if callable(getattr(module, "get_delta_weight", None))
    }
    for name, tensor in inner.state_dict().items():
        owner, adapter, rest = name.partition(".base_layer.")
        if not adapter and owner.rpartition(".lora_")[1]:
            continue
        own = tensor.detach()
        yield (
            f"{owner}.{rest}" if adapter else name,
            own + added[owner] if rest == "weight" else own,
        )

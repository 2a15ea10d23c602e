"""Whether a model's logits are a linear map of its last hidden state: asked once, exactly."""

import logging
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from covlaw.llm.model.adapters import own_model

_log = logging.getLogger("covlaw")

PROBE = 1e3
"""Logits put into the model reach to ±this: far outside any soft cap."""


class OutputHead(NamedTuple):
    """The two halves of a causal LM: logits = head(body(tokens).last_hidden_state)."""

    body: nn.Module
    head: nn.Linear

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.head.weight.shape[0]


_found: WeakKeyDictionary[nn.Module, OutputHead | None] = WeakKeyDictionary()


def output_head(model: nn.Module) -> OutputHead | None:
    """Return the halves, or None where anything happens before, in or after the head.

    Models that cap, scale or otherwise change their logits (Gemma, Cohere, Granite, MiniCPM) give
    None, and so do those whose head is no plain `nn.Linear`. Adapters stand in the layers of the
    model that PEFT wraps: its halves serve. Asked once a model, and logged.
    """
    if model not in _found:
        _found[model] = _halves(model)
        if _found[model] is None:
            _log.info(
                "%s: its logits are not a linear map of its last hidden state, so log-probs need "
                "all logits of a micro-batch at once; lower micro_batch if memory is short",
                type(model).__name__,
            )
    return _found[model]


def _halves(model: Any) -> OutputHead | None:
    model = own_model(model)
    body = getattr(model, "base_model", None)
    find = getattr(model, "get_output_embeddings", None)
    head = find() if find else None
    if type(head) is not nn.Linear or body is None or body is model:
        return None
    return OutputHead(body, head) if _is_plain(model, OutputHead(body, head)) else None


@torch.no_grad()
def _is_plain(model: Any, halves: OutputHead) -> bool:
    """Whether the head reads the body's last hidden state, and the model returns what it says.

    On two tokens, with the head's answer replaced by a ramp: what comes out must be that ramp,
    bit for bit, so a soft cap shows however small the weights still are.
    """
    tokens = torch.arange(2, device=halves.head.weight.device)[None] % halves.vocabulary
    seen: list[Tensor] = []

    def answer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        del module
        ramp = torch.linspace(-PROBE, PROBE, output.numel(), device=output.device)
        seen.extend((inputs[0], ramp.to(output.dtype).reshape(output.shape)))
        return seen[-1]

    hook = halves.head.register_forward_hook(answer)
    try:
        logits = model(input_ids=tokens, use_cache=False).logits
    finally:
        hook.remove()
    hidden = halves.body(input_ids=tokens, use_cache=False).last_hidden_state
    return len(seen) == 2 and torch.equal(seen[0], hidden) and torch.equal(seen[1], logits)

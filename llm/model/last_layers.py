"""Training a model's last layers only: less memory, and no way back through the others."""

from typing import Any

from torch import nn

from covlaw.theory._numerics.errors import CovlawError


def train_last(model: Any, layers: int) -> None:
    """Freeze all but the last layers and what follows them; 0: leave the model as it is.

    Embeddings stay as they are, and with them an output head that is tied to one. The law is that
    of the parameters that move: a kernel of theirs instead of the whole model's (T12).

    Raises:
        CovlawError: for a model whose layers cannot be told apart, or has not so many.
    """
    if not layers:
        return
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m)]
    longest = max(stacks, key=len, default=nn.ModuleList())
    if len(longest) < layers:
        raise CovlawError(
            f"train_layers is {layers}, and {type(model).__name__} has {len(longest)} layers in "
            "a row: use fewer, or 0 for all of the model"
        )
    kept = {id(p) for layer in longest[-layers:] for p in layer.parameters()}
    kept |= {id(p) for p in _after(model, longest)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in kept)


def _after(model: Any, layers: nn.ModuleList) -> list[nn.Parameter]:
    """Parameters that come after the layers, embeddings and what is tied to them apart."""
    embedded = {
        id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()
    }
    inside = {id(p) for p in layers.parameters()}
    parameters = list(model.parameters())
    first = next(k for k, p in enumerate(parameters) if id(p) in inside)
    return [p for p in parameters[first:] if id(p) not in inside | embedded]

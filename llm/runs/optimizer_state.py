"""An optimizer's state as named tensors: `<parameter>.<key>`."""

import torch
from torch import Tensor, nn

from covlaw.llm.model.parameters import trainable


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of every trainable parameter; learning rates are no state of ours."""
    return {
        f"{name}.{key}": value.detach().contiguous()
        for name, p in trainable(model).items()
        for key, value in optimizer.state.get(p, {}).items()
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Replace the state by a saved one.

    Step counts stay on the CPU, but for the fused optimiser, which reads them where it works.
    """
    optimizer.state.clear()
    fused = bool(optimizer.param_groups[0].get("fused"))
    for name, p in trainable(model).items():
        prefix = f"{name}."
        # parameter names contain dots; the key is what follows the whole name
        state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        state = {k: v for k, v in state.items() if "." not in k}
        if state:
            optimizer.state[p] = {
                k: v if k == "step" and not fused else v.to(p.device) for k, v in state.items()
            }


def check_optimizer(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Refuse a saved state whose tensors do not fit the parameters.

    Raises:
        ValueError: naming the tensor.
    """
    for name, p in trainable(model).items():
        for key, value in tensors.items():
            owned = key.removeprefix(f"{name}.")
            if owned != key and "." not in owned and value.shape not in (p.shape, torch.Size()):
                raise ValueError(f"{key} has shape {tuple(value.shape)}, not {tuple(p.shape)}")

"""The causal LM is a float64 function of θ, which the stock module in `.double()` is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.transformer.float64_model import FlatModel, ModelShape, build_model

REQUIRED = 1e-7
"""DESIGN: relative agreement of JVP and central differences; float32 inside misses it by 10³."""
ARCHITECTURES = ("qwen2", "llama", "gpt2")
TOKENS = torch.tensor([[0, 1, 2, 0], [2, 1, 1, 3], [3, 3, 0, 2]])

Function = Callable[[Tensor], Tensor]


def model(architecture: str, seed: int = 0) -> FlatModel:
    return build_model(ModelShape(4, layers=2, architecture=architecture), seed)


def stock_logits(built: FlatModel, theta: Tensor) -> Tensor:
    """The same module and parameters in float64, without the context that keeps it so."""
    parameters = dict(zip(built.names, built.split(theta), strict=True))
    with sdpa_kernel(SDPBackend.MATH):
        output = functional_call(built.module, parameters, (TOKENS,), {"use_cache": False})
    logits: Tensor = output.logits
    return logits


def disagreement(function: Function, theta: Tensor) -> float:
    """Relative distance of the JVP from central differences, extrapolated to step 0."""
    direction = torch.randn(theta.shape, generator=torch.Generator().manual_seed(1)).double()
    direction /= direction.norm()

    def central(step: float) -> Tensor:
        return (function(theta + step * direction) - function(theta - step * direction)) / (
            2 * step
        )

    with torch.no_grad():
        difference = (4 * central(1e-3) - central(2e-3)) / 3
    derivative = jvp(function, (theta,), (direction,))[1]
    return float((derivative - difference).abs().max() / derivative.abs().max())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_jvp_agrees_with_central_differences(architecture: str) -> None:
    built = model(architecture)
    assert built.theta.dtype == torch.float64
    assert disagreement(lambda theta: built.logits(theta, TOKENS), built.theta) < REQUIRED


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_the_stock_module_fails_the_same_test(architecture: str) -> None:
    built = model(architecture)
    assert stock_logits(built, built.theta).dtype == torch.float64  # looks right, is not
    assert disagreement(lambda theta: stock_logits(built, theta), built.theta) > REQUIRED


class FloatTypes(TorchDispatchMode):
    """Collects the floating-point types that operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        self.seen |= {x.dtype for x in tensors if x.is_floating_point()}
        return out


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_operation_returns_float32(architecture: str) -> None:
    built = model(architecture)
    with FloatTypes() as types:
        built.logits(built.theta, TOKENS)
    assert types.seen == {torch.float64}
    with FloatTypes() as stock:
        stock_logits(built, built.theta)
    assert (torch.float32 in stock.seen) == (architecture != "gpt2")  # LayerNorm does not cast


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forward_and_reverse_mode_agree(architecture: str) -> None:
    shape = ModelShape(4, layers=2, architecture=architecture)
    built = build_model(shape, 0)
    generator = torch.Generator().manual_seed(2)
    v = torch.randn(built.theta.shape, generator=generator, dtype=torch.float64)
    out, forward = jvp(lambda t: built.logits(t, TOKENS), (built.theta,), (v,))
    w = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    reverse = vjp(lambda t: built.logits(t, TOKENS), built.theta)[1](w)[0]
    size = (w * forward).abs().sum() + (reverse * v).abs().sum()
    operations = 2 * shape.roundings(TOKENS.shape[1]) + len(v)  # a derivative doubles the chain
    assert abs((w * forward).sum() - reverse @ v) <= rounding(size, operations)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_split_and_theta_are_inverse(architecture: str) -> None:
    built = model(architecture)
    assert torch.cat([x.reshape(-1) for x in built.split(built.theta)]).equal(built.theta)
    named = [tuple(p.shape) for p in built.module.parameters()]
    assert [tuple(x.shape) for x in built.split(built.theta)] == named


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = model("qwen2", 5), model("qwen2", 5), model("qwen2", 6)
    assert torch.get_rng_state().equal(before)
    assert one.theta.equal(same.theta)
    assert not one.theta.equal(other.theta)


def test_no_embedding_row_is_frozen() -> None:
    built = model("qwen2")
    everything = torch.arange(4)[None]
    gradient = vjp(lambda t: built.logits(t, everything), built.theta)[1](
        torch.ones(1, 4, 4, dtype=torch.float64)
    )[0]
    rows = dict(zip(built.names, built.split(gradient), strict=True))["model.embed_tokens.weight"]
    assert bool((rows.abs().sum(1) > 0).all())  # a padding token's row would be 0


def test_unknown_architecture_is_named() -> None:
    with pytest.raises(CovlawError, match=r"'quen2'.*qwen2, llama or gpt2"):
        build_model(ModelShape(4, architecture="quen2"), 0)

"""A real `transformers` causal LM as a truly float64 function of one flat parameter vector."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM

from covlaw.theory._numerics.errors import CovlawError


class Float64(TorchFunctionMode):
    """Inside this context a request for float32 is a request for float64.

    `.double()` does not make a Hugging Face model float64: RMSNorm, rotary embeddings and eager
    softmax ask for float32 in their own code, whatever the architecture. This answers them all.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        func = torch.Tensor.double if func is torch.Tensor.float else func
        named = {key: _double(value) for key, value in (kwargs or {}).items()}
        return func(*(_double(value) for value in args), **named)


@dataclass(frozen=True)
class ModelShape:
    """Size and architecture of a small causal LM.

    Args:
        vocabulary: V, tokens including the end of sequence (the last one).
        hidden: Width; the MLP is twice as wide.
        layers: Decoder layers.
        heads: Attention heads (Qwen2 and Llama share one key-value head between them).
        architecture: `model_type` of `transformers`, e.g. qwen2, llama, gpt2.
        initializer_range: Standard deviation of the initial weights; beyond 0.2 finite
            differences lose digits.
    """

    vocabulary: int
    hidden: int = 8
    layers: int = 1
    heads: int = 2
    architecture: str = "qwen2"
    initializer_range: float = 0.2

    def roundings(self, length: int) -> int:
        """Roundings on the longest path from θ to a log-prob of `length` tokens.

        A layer: two norms (square, sum, mean, root, scale), four attention and three MLP products
        (one addition a summand; the MLP is 2·hidden wide), rotation, softmax and SiLU (8 each),
        two residuals; then a norm, the head and log-softmax. Tokens add one after another.
        """
        norm, functions = self.hidden + 6, 24
        layer = 2 * norm + 4 * self.hidden + 2 * (length + 2) + 4 * self.hidden + functions + 2
        return length * (self.layers * layer + norm + self.hidden + self.vocabulary + 4)


class FlatModel:
    """A causal LM and the map between its parameters and one flat vector θ (D,)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()
        parameters = dict(module.named_parameters())  # tied weights appear once
        self.names = tuple(parameters)
        self.shapes = tuple(p.shape for p in parameters.values())

    @property
    def theta(self) -> Tensor:
        """The module's current parameters, copied into one vector (D,)."""
        return torch.cat([p.detach().reshape(-1) for p in self.module.parameters()])

    def split(self, theta: Tensor) -> tuple[Tensor, ...]:
        """θ (D,) → one tensor a parameter, in the module's order."""
        pieces = theta.split([math.prod(shape) for shape in self.shapes])
        return tuple(x.reshape(s) for x, s in zip(pieces, self.shapes, strict=True))

    def logits(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Next-token logits (rows, T, V) of `tokens` (rows, T) at θ, differentiable both ways."""
        parameters = dict(zip(self.names, self.split(theta), strict=True))
        with Float64(), sdpa_kernel(SDPBackend.MATH):  # the one kernel with forward-mode rules
            output = functional_call(self.module, parameters, (tokens,), {"use_cache": False})
        logits: Tensor = output.logits
        return logits


def build_model(shape: ModelShape, seed: int) -> FlatModel:
    """Draw the model that `transformers` itself initialises, in float64.

    No padding token is set: its embedding row would get no gradient in reverse mode (but a
    tangent in forward mode), and here every row of tokens has the same length.

    Raises:
        CovlawError: for an architecture that `transformers` does not know.
    """
    try:
        config = AutoConfig.for_model(
            shape.architecture,
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=2 * shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=1,
            max_position_embeddings=16,
            initializer_range=shape.initializer_range,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=shape.vocabulary - 1,
        )
    except ValueError as error:
        raise CovlawError(
            f"architecture {shape.architecture!r}: transformers knows no such model_type; "
            "try qwen2, llama or gpt2"
        ) from error
    with torch.random.fork_rng(devices=[]), Float64():
        torch.manual_seed(seed)
        module = AutoModelForCausalLM.from_config(
            config, attn_implementation="sdpa", dtype=torch.float64
        )
    return FlatModel(module)


def _double(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value

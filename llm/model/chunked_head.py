"""Log-probs and entropies from hidden states: the logits of a batch never exist at once.

Both passes go over chunks of tokens and compute a chunk's logits anew, so that memory holds a few
of (tokens, V) instead of the copies of (N, T, V) that autograd keeps.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

CHUNK = {"cpu": 10 * 2**20, "cuda": 2**26}
"""Logits in a chunk, by device type: 40 and 256 MiB of float32. Blocks below 32 MiB glibc keeps
once they are freed, and fragments; a GPU's many lanes want more rows at once."""


class Head(NamedTuple):
    """What turns hidden states into the chosen tokens' values."""

    weight: Tensor  # (V, d)
    bias: Tensor | None  # (V,)
    target: Tensor  # (n,)
    temperature: float
    entropy: bool
    dtype: torch.dtype
    """Of the matrix products; softmax and sums are at least float32."""

    @classmethod
    def of(cls, head: nn.Linear, target: Tensor, temperature: float, entropy: bool) -> "Head":
        """Products in the head's own precision, or in autocast's where that is on."""
        kind, dtype = target.device.type, head.weight.dtype
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else dtype
        return cls(head.weight, head.bias, target, temperature, entropy, dtype)

    def cast(self) -> "Head":
        """Its weights in the products' precision, once for all chunks."""
        bias = None if self.bias is None else self.bias.to(self.dtype)
        return self._replace(weight=self.weight.to(self.dtype), bias=bias)

    def log_softmax(self, hidden: Tensor) -> Tensor:
        """Log-probs of every token, of a head that is `cast`: hidden (c, d) → (c, V)."""
        logits = linear(hidden.to(self.dtype), self.weight, self.bias)
        return at_least_float32(logits).div_(self.temperature).log_softmax(-1)

    def chunks(self) -> Iterator[slice]:
        """Token ranges of at most `chunk_of` logits."""
        rows = max(1, chunk_of(self.target) // len(self.weight))
        return (slice(k, k + rows) for k in range(0, max(len(self.target), 1), rows))

    def values(self, hidden: Tensor) -> Tensor:
        """Log-probs of the chosen tokens, then entropies if wanted: (1 or 2, n)."""
        target, entropy, own = self.target, self.entropy, self.cast()
        parts = [
            chosen_values(own.log_softmax(hidden[s]), target[s], entropy) for s in self.chunks()
        ]
        return torch.cat(parts, 1)


def chunk_of(tensor: Tensor) -> int:
    """`CHUNK` of a tensor's device."""
    return CHUNK.get(tensor.device.type, CHUNK["cuda"])


def at_least_float32(logits: Tensor) -> Tensor:
    """16-bit logits as float32; float64 ones as they are."""
    return logits if logits.dtype == torch.float64 else logits.float()


def chosen_values(log_prob: Tensor, target: Tensor, entropy: bool) -> Tensor:
    """Chosen log π(target), then −Σ_a π(a) log π(a) if wanted: (..., V) → (1 or 2, ...)."""
    chosen = log_prob.gather(-1, target[..., None])[..., 0]
    if not entropy:
        return chosen[None]
    return torch.stack([chosen, -torch.einsum("...v,...v->...", log_prob.exp(), log_prob)])


def head_values(
    head: nn.Linear, hidden: Tensor, target: Tensor, temperature: float, entropy: bool = False
) -> Tensor:
    """Return `chosen_values` (1 or 2, n) of softmax(head(hidden)/temperature), chunk by chunk.

    For reverse mode where gradients are on, for forward mode (`torch.func.jvp`) where they are off.

    `hidden` is (n, d), `target` (n,) int64; `head` maps d → V, with or without a bias.
    """
    own = Head.of(head, target, temperature, entropy)
    with torch.autocast(hidden.device.type, enabled=False):
        if not torch.is_grad_enabled():
            return own.values(hidden)
        apply: Any = _HeadValues.apply
        found: Tensor = apply(hidden, own.weight, own.bias, own)
        return found


class _HeadValues(torch.autograd.Function):
    """`Head.values` with a backward pass that computes each chunk's logits anew.

    z the logits over the temperature, π = softmax(z): ∂log π(y)/∂z = 1_y − π and
    ∂H/∂z = −π(log π + H). Weight gradients are summed over chunks in at least float32.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Any, head: Head) -> Tensor:
        ctx.save_for_backward(hidden, weight, bias, head.target)
        ctx.options = head[3:]
        return head.values(hidden)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, target = ctx.saved_tensors
        head = Head(weight, bias, target, *ctx.options).cast()
        inputs = (hidden, weight, bias)
        needed = ctx.needs_input_grad[:3]
        sums = [
            t.new_zeros(t.shape, dtype=torch.promote_types(t.dtype, torch.float32)) if n else None
            for t, n in zip(inputs, needed, strict=True)
        ]
        with torch.autocast(hidden.device.type, enabled=False):
            for rows in head.chunks():
                delta = _logit_gradient(head, hidden[rows], target[rows], gradient[:, rows])
                _add_products(sums, rows, delta.to(head.dtype), hidden[rows], head.weight)
        found = [None if s is None else s.to(t.dtype) for s, t in zip(sums, inputs, strict=True)]
        return (*found, None)


def _logit_gradient(head: Head, hidden: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    """Gradient (c, V) with respect to the logits, in two buffers of that size."""
    log_prob = head.log_softmax(hidden)
    prob = log_prob.exp()
    if head.entropy:
        log_prob -= torch.einsum("cv,cv->c", prob, log_prob)[:, None]  # log π + H
        delta = log_prob.mul_(gradient[1][:, None]).add_(gradient[0][:, None]).mul_(prob).neg_()
    else:
        delta = prob.mul_(-gradient[0][:, None])
    delta.scatter_add_(1, target[:, None], gradient[0][:, None])
    return delta.div_(head.temperature)


def _add_products(
    sums: list[Tensor | None], rows: slice, delta: Tensor, hidden: Tensor, weight: Tensor
) -> None:
    to_hidden, to_weight, to_bias = sums
    if to_hidden is not None:
        to_hidden[rows] = delta @ weight
    if to_weight is not None:
        product = (delta.T, hidden.to(delta.dtype))
        if to_weight.dtype == delta.dtype:
            to_weight.addmm_(*product)
        else:
            to_weight += product[0] @ product[1]
    if to_bias is not None:
        to_bias += delta.sum(0)

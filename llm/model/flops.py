"""Floating-point operations of a decoder's passes, and what devices can do: model utilisation.

A matrix product of (a, b) by (b, c) is 2abc operations. Per token, a pass reads each weight of a
linear layer once: 2P. Causal attention of T tokens takes 2·2·d·T(T+1)/2 = 2dT(T+1) operations a
layer for its scores and their sums, d being heads × head width: half of what PaLM's appendix B
(Chowdhery et al. 2022, arXiv:2204.02311) counts, which forgets the mask. A backward pass costs
twice its forward pass.
"""

from typing import Any, NamedTuple

import torch
from torch import nn

PEAKS = {
    "B200": 2250e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "GH200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
}
"""Dense bfloat16 FLOP/s on tensor cores by data sheet; keys are words of a device's name."""


class Cost(NamedTuple):
    """What one pass over rows of a prompt and a completion takes, in FLOPs."""

    body: int
    """Linear layers below the head, on all tokens."""
    head: int
    """The output head, on completion tokens: the only ones whose logits are read."""
    attention: int

    @property
    def forward(self) -> int:
        """Of a forward pass."""
        return self.body + self.head + self.attention

    @property
    def update(self) -> int:
        """Of a forward and a backward pass: 3 × forward."""
        return 3 * self.forward


def pass_cost(model: Any, rows: int, prompt: int, completion: int) -> Cost:
    """Count a forward pass over `rows` rows of `prompt` + `completion` tokens.

    body 2·P_body·rows·(S + T), head 2·d·V·rows·T, attention 2·L·d_a·n(n + 1)·rows with n = S + T;
    what a method computes beside the model (a chunk's logits twice, say) does not count.
    """
    config, length = model.config, prompt + completion
    head = model.get_output_embeddings()
    body = sum(
        m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear) and m is not head
    )
    width = config.num_attention_heads * getattr(
        config, "head_dim", config.hidden_size // config.num_attention_heads
    )
    return Cost(
        2 * body * rows * length,
        2 * head.weight.numel() * rows * completion,
        2 * config.num_hidden_layers * width * length * (length + 1) * rows,
    )


def peak_of(name: str) -> float | None:
    """Dense bfloat16 FLOP/s of a device by its name; None for one that is not in the table.

    All words of an entry must occur in the name; the entry with most words counts.
    """
    words = set(name.replace("-", " ").split())
    fitting = [entry for entry in PEAKS if set(entry.split()) <= words]
    return PEAKS[max(fitting, key=lambda entry: len(entry.split()))] if fitting else None


def device_name(device: str) -> str:
    """Name of the hardware: "NVIDIA H200", or "cpu"."""
    kind = torch.device(device)
    return torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type

"""Top-k and top-p: sampling from the renormalised likely part of each token distribution."""

from typing import NamedTuple

import torch
from torch import Tensor


class Truncation(NamedTuple):
    """Which tokens may be drawn: the `top_k` likeliest, then the fewest that hold `top_p`."""

    top_k: int = 0
    """0: no limit. Tokens that tie with the last one stay."""
    top_p: float = 1.0
    """Of the mass that top-k leaves; 1: no limit."""

    @property
    def on(self) -> bool:
        """Whether anything is cut."""
        return self.top_k > 0 or self.top_p < 1


OFF = Truncation()


def sampling_log_prob(logits: Tensor, temperature: float, truncation: Truncation = OFF) -> Tensor:
    """Log-probs of the distribution that tokens are drawn from, (..., V); −inf on what is cut.

    log softmax(z/τ), restricted to the kept tokens and renormalised.
    """
    log_prob = torch.log_softmax(logits.float() / temperature, -1)
    if not truncation.on:
        return log_prob
    return torch.log_softmax(log_prob.masked_fill(~kept(log_prob, truncation), float("-inf")), -1)


def kept(log_prob: Tensor, truncation: Truncation, slack: float = 0.0) -> Tensor:
    """Which tokens truncation keeps, (..., V) bool.

    With `slack` δ > 0 every token that log-probs within δ could keep; with δ < 0 only those that
    all such log-probs keep, the likeliest always. Two computations of one policy cut alike only up
    to such margins.
    """
    ordered, order = log_prob.sort(-1, descending=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if 0 < truncation.top_k < ordered.shape[-1]:
        last, first_out = (ordered[..., truncation.top_k - k, None] for k in (1, 0))
        keep = ordered >= last - slack if slack >= 0 else ordered > first_out - slack
        keep[..., 0] = True
    if truncation.top_p < 1:
        mass = torch.softmax(ordered.masked_fill(~keep, float("-inf")), -1)
        before = mass.cumsum(-1) - mass
        keep &= before < truncation.top_p + slack
        keep[..., 0] = True
    return torch.zeros_like(keep).scatter(-1, order, keep)

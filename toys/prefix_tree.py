"""Every completion over a small vocabulary, scored through the prefixes they share."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PAD = -1
"""Fills `completions` after the end of sequence. No model sees it, so it is no token at all."""


@dataclass(frozen=True)
class PrefixTree:
    """Token strings that end with the end of sequence (the last token, V−1) or at L tokens.

    The strings of k < L symbols followed by the end, and the truncated ones of L symbols:
    N = Σ_{k<L}(V−1)^k + (V−1)^L, in that order, each level in lexicographic order.

    Args:
        vocabulary: V ≥ 2, including the end of sequence.
        length: L ≥ 1, the longest completion.
    """

    vocabulary: int
    length: int

    @property
    def symbols(self) -> int:
        """V−1: tokens that may be followed by others."""
        return self.vocabulary - 1

    @cached_property
    def prefixes(self) -> Tensor:
        """The deepest prefixes that the policy extends: ((V−1)^{L−1}, L−1)."""
        return self._level(self.length - 1)

    @cached_property
    def completions(self) -> Tensor:
        """All completions (N, L), with PAD after the end of sequence."""
        ended = [self._ended(k) for k in range(self.length)]
        return torch.cat([*ended, self._level(self.length)])

    @cached_property
    def lengths(self) -> Tensor:
        """Symbols before the end of each completion, 0 … L: (N,)."""
        return ((self.completions >= 0) & (self.completions < self.symbols)).sum(1)

    def log_prob(self, next_token: Tensor) -> Tensor:
        """Sum the next-token log-probs along each completion.

        Args:
            next_token: (..., (V−1)^{L−1}, L, V) log-probs along each row of `prefixes`, before
                its first token, after its first token, and so on.

        Returns:
            (..., N), in the order of `completions`.
        """
        prefix, ended = next_token.new_zeros(1), []
        for depth in range(self.length):
            rows = slice(None, None, self.symbols ** (self.length - 1 - depth))
            extended = prefix[..., None] + next_token[..., rows, depth, :]
            ended.append(extended[..., self.symbols])
            prefix = extended[..., : self.symbols].flatten(-2)
        return torch.cat([*ended, prefix], -1)

    def _level(self, depth: int) -> Tensor:
        """All strings of `depth` symbols in lexicographic order: ((V−1)^depth, depth)."""
        place = self.symbols ** torch.arange(depth - 1, -1, -1)
        return torch.arange(self.symbols**depth)[:, None] // place % self.symbols

    def _ended(self, depth: int) -> Tensor:
        rows = torch.full((self.symbols**depth, self.length), PAD)
        rows[:, :depth] = self._level(depth)
        rows[:, depth] = self.symbols
        return rows

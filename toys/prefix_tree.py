"""Every completion over a small vocabulary, scored through the prefixes they share."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from covlaw.theory.worlds.token_tree import TreeShape

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

    @property
    def contexts(self) -> int:
        """C = Σ_{t<L}(V−1)^t strings after which a policy chooses the next token."""
        return int(self._per_level.sum())

    def choices(self, prompts: int = 1) -> TreeShape:
        """Every completion of every prompt as choices, prompt by prompt: N·P completions.

        Contexts are ordered by prompt, length, then lexicographically, and offer all V tokens:
        choice = context·V + token.
        """
        context = torch.arange(prompts * self.contexts)
        start = (context[:: self.contexts] * self.vocabulary)[:, None, None]
        choice = torch.where(self.completions >= 0, self._choice + start, PAD)
        return TreeShape(
            torch.arange(prompts).repeat_interleave(len(self.completions)),
            choice.flatten(0, 1),
            context.repeat_interleave(self.vocabulary),
        )

    def by_context(self, next_token: Tensor) -> Tensor:
        """Next-token log-probs after every context: (..., (V−1)^{L−1}, L, V) → (..., C, V).

        Argument as in `log_prob`.
        """
        depth = torch.arange(self.length).repeat_interleave(self._per_level)
        number = torch.arange(self.contexts) - self._first[depth]
        return next_token[..., number * self.symbols ** (self.length - 1 - depth), depth, :]

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

    @property
    def _per_level(self) -> Tensor:
        return self.symbols ** torch.arange(self.length)

    @property
    def _first(self) -> Tensor:
        """Number of the first context of each length."""
        return self._per_level.cumsum(0) - self._per_level

    @cached_property
    def _choice(self) -> Tensor:
        """context·V + token of each token of each completion of one prompt: (N, L)."""
        tokens = self.completions.clamp(min=0)
        step = torch.arange(self.length)
        back = step - 1 - step[:, None]  # place of token i in the number of the context at t
        place = torch.where(back >= 0, self.symbols ** back.clamp(min=0), 0)
        number = torch.where(tokens < self.symbols, tokens, 0) @ place
        return (self._first + number) * self.vocabulary + tokens

    def _level(self, depth: int) -> Tensor:
        """All strings of `depth` symbols in lexicographic order: ((V−1)^depth, depth)."""
        place = self.symbols ** torch.arange(depth - 1, -1, -1)
        return torch.arange(self.symbols**depth)[:, None] // place % self.symbols

    def _ended(self, depth: int) -> Tensor:
        rows = torch.full((self.symbols**depth, self.length), PAD)
        rows[:, :depth] = self._level(depth)
        rows[:, depth] = self.symbols
        return rows

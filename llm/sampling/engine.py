"""Sampling completions from a policy: one interface, the transformers engine."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from covlaw.llm.model.ends import end_tokens, is_end
from covlaw.llm.model.frozen import half_of
from covlaw.llm.model.tokenizer import prompt_ids
from covlaw.llm.sampling.decode import decode, prefill
from covlaw.llm.sampling.truncation import OFF, Truncation


class Completions(NamedTuple):
    """Sampled completions, prompt-major: rows of one prompt are adjacent."""

    prompt_tokens: Tensor
    """(N, S) int64, padded on the left."""
    prompt_mask: Tensor
    """(N, S) bool."""
    tokens: Tensor
    """(N, T) int64 completion tokens with the end-of-sequence token, padded on the right."""
    mask: Tensor
    """(N, T) bool."""
    log_prob: Tensor
    """(N, T) float32 log-prob of each token in the policy that drew it, so tempered and, where
    truncation is on, renormalised over the kept tokens; 0 on padding."""
    prompt: Tensor
    """(N,) int64 position of the prompt in the call's list."""
    text: list[str]
    """N decoded completions without special tokens."""

    @property
    def lengths(self) -> Tensor:
        """(N,) tokens a completion."""
        return self.mask.sum(1)

    def rows(self, index: Tensor) -> "Completions":
        """Select rows, dropping columns that are padding in all of them."""
        mask = self.mask[index]
        width = max(int(mask.sum(1).max()), 1) if len(mask) else 1
        return Completions(
            self.prompt_tokens[index],
            self.prompt_mask[index],
            self.tokens[index, :width],
            mask[:, :width],
            self.log_prob[index, :width],
            self.prompt[index],
            [self.text[i] for i in index.tolist()],
        )


class Engine(Protocol):
    """Where completions come from."""

    def sample(
        self,
        prompts: Sequence[str],
        n: int,
        max_tokens: int,
        temperature: float,
        generator: torch.Generator,
    ) -> Completions:
        """Draw `n` completions of each prompt from the synced policy."""
        ...

    def sync(self, policy: torch.nn.Module) -> None:
        """Take over the policy's weights."""
        ...


def _contiguous(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A product with a strided slice would copy the head's weights for every row."""
    del module
    return tuple(tensor.contiguous() for tensor in inputs)


def _in_bfloat16(model: torch.nn.Module) -> Any:
    """A copy of a model in bfloat16, made without one in its own precision.

    What is frozen it shares with the passes of training (`half_of`).
    """
    halves: dict[int, Any] = {
        id(p): torch.nn.Parameter(p.detach().to(torch.bfloat16), requires_grad=False)
        if p.requires_grad
        else half_of(p)
        for p in model.parameters()
    }
    return copy.deepcopy(model, halves).to(torch.bfloat16)  # what is left: buffers


class TransformersEngine:
    """Samples from the trainer's own module with a key–value cache, prompts computed once.

    Args:
        model: A causal LM; in its own precision used as it is, so weights are always in sync.
        tokenizer: Its tokenizer, with distinct pad and end-of-sequence tokens.
        truncation: Top-k and top-p.
        dtype: "float32", or "bfloat16": then a copy in that precision samples, made at each sync.
    """

    def __init__(
        self, model: Any, tokenizer: Any, truncation: Truncation = OFF, dtype: str = "float32"
    ) -> None:
        self.model, self.tokenizer, self.truncation = model, tokenizer, truncation
        if dtype == "bfloat16":
            self.model = _in_bfloat16(model)
            self.model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        self.ends = end_tokens(model, tokenizer)

    @torch.no_grad()
    def sync(self, policy: torch.nn.Module) -> None:
        """Copy the weights, where the engine has its own."""
        if self.model is not policy:
            for own, new in zip(self.model.parameters(), policy.parameters(), strict=True):
                if new.requires_grad or half_of(new).data_ptr() != own.data_ptr():
                    own.copy_(new)

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[str],
        n: int,
        max_tokens: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Completions:
        """Draw `n` completions of each prompt."""
        tokens, mask = encode_prompts(self.tokenizer, prompts, self.model.device)
        start = prefill(self.model, tokens, mask, n)
        drawn, log_prob = decode(
            self.model, start, self.ends, max_tokens, temperature, generator, self.truncation
        )
        last = is_end(drawn, self.ends)
        ended = last.cumsum(1)
        kept = (ended == 0) | ((ended == 1) & last)
        width = int(kept.sum(1).max())
        drawn, kept = drawn[:, :width], kept[:, :width]
        drawn = torch.where(kept, drawn, self.tokenizer.pad_token_id)
        return Completions(
            tokens.repeat_interleave(n, 0),
            mask.repeat_interleave(n, 0),
            drawn,
            kept,
            torch.where(kept, log_prob[:, :width], 0.0),
            torch.arange(len(prompts), device=tokens.device).repeat_interleave(n),
            self.tokenizer.batch_decode(drawn, skip_special_tokens=True),
        )


def encode_prompts(tokenizer: Any, prompts: Sequence[str], device: Any) -> tuple[Tensor, Tensor]:
    """Tokenize prompts with left padding: (P, S) int64 ids and (P, S) bool mask."""
    ids = prompt_ids(tokenizer, prompts)
    width = max(map(len, ids))
    tokens = [[tokenizer.pad_token_id] * (width - len(row)) + row for row in ids]
    mask = [[False] * (width - len(row)) + [True] * len(row) for row in ids]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)

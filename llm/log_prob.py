"""Log-probs of completions: with gradients, along a direction, or plain, a few rows at a time."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

from covlaw.llm.engine import Completions
from covlaw.llm.parameters import Parameters, trainable


def token_log_prob(model: Any, batch: Completions, temperature: float = 1.0) -> Tensor:
    """(N, T) log-prob of each completion token under `model`, float32; 0 on padding."""
    inputs = torch.cat([batch.prompt_tokens, batch.tokens], 1)
    mask = torch.cat([batch.prompt_mask, batch.mask], 1)
    width = batch.tokens.shape[1]
    logits = model(
        input_ids=inputs,
        attention_mask=mask.long(),
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    log_prob = torch.log_softmax(logits.float() / temperature, -1)
    chosen = log_prob.gather(2, batch.tokens[..., None])[..., 0]
    return torch.where(batch.mask, chosen, 0.0)


def all_token_log_prob(
    model: Any, batch: Completions, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N, T) as `token_log_prob`, `rows` rows at a time, float64, no graph."""
    width, parts = batch.tokens.shape[1], []
    with torch.no_grad():
        for part in chunks(batch, rows):
            log_prob = token_log_prob(model, part, temperature).double()
            parts.append(pad(log_prob, (0, width - log_prob.shape[1])))
    return torch.cat(parts)


def sequence_log_prob(
    model: Any, batch: Completions, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N,) log-prob of each completion, float64, no graph."""
    with torch.no_grad():
        parts = [
            token_log_prob(model, part, temperature).double().sum(1) for part in chunks(batch, rows)
        ]
    return torch.cat(parts)


def directional_log_prob(
    model: Any, batch: Completions, direction: Parameters, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N,) ⟨∇log π(y|x), v⟩ for every completion: one forward-mode pass, float64.

    Needs the math attention kernel: the fused ones have no forward-mode derivative.
    """
    primal = {name: p.detach() for name, p in trainable(model).items()}
    tangent = {name: direction[name] for name in primal}

    def log_prob(parameters: Parameters, part: Completions) -> Tensor:
        class Bound:
            def __call__(self, **kwargs: Any) -> Any:
                return functional_call(model, dict(parameters), kwargs=kwargs)

        return token_log_prob(Bound(), part, temperature).sum(1)

    with sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        parts = [
            jvp(lambda p, part=part: log_prob(p, part), (primal,), (tangent,))[1].double()
            for part in chunks(batch, rows)
        ]
    return torch.cat(parts)


def chunks(batch: Completions, rows: int) -> Iterator[Completions]:
    """Split a batch into runs of at most `rows` rows, each trimmed to its longest completion."""
    index = torch.arange(len(batch.text), device=batch.tokens.device)
    for part in index.split(rows):
        yield batch.rows(part)


def micro_batches(
    batch: Completions, advantage: Tensor, rows: int
) -> Iterator[tuple[Completions, Tensor]]:
    """Split a batch as `chunks`, with its advantage: (N,) → (rows,), (N, T) → (rows, width)."""
    for part, own in zip(chunks(batch, rows), advantage.split(rows), strict=True):
        yield part, own if own.ndim == 1 else own[:, : part.tokens.shape[1]]


def distinct(batch: Completions) -> tuple[Completions, Tensor]:
    """Drop repeated completions of a prompt: the distinct rows, and each row's place in them.

    A small or converged policy repeats itself; equal rows have equal log-probs.
    """
    keys = torch.cat([batch.prompt[:, None], torch.where(batch.mask, batch.tokens, -1)], 1)
    _, place = torch.unique(keys, dim=0, return_inverse=True)
    first = torch.full((int(place.max()) + 1,), len(batch.text), dtype=torch.int64)
    first = first.scatter_reduce(0, place.cpu(), torch.arange(len(batch.text)), "amin")
    return batch.rows(first.to(batch.tokens.device)), place
